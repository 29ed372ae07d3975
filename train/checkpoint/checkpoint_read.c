/* checkpoint_read.c: reads a checkpoint. The user block has vouched for every byte before HDF5 parses the first, but a checksum
 * proves nothing about who wrote it. So it is parsed in a sandbox (data/h5_read.h), types and shapes are compared, not converted,
 * and no size is believed that the file is too short for. */

#include "data/hdf5/h5_read.h"
#include "train/checkpoint/checkpoint.h"
#include "train/checkpoint/checkpoint_parts.h"
#include "train/checkpoint/crc_table.h"
#include "train/checkpoint/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct checkpoint_file {
    struct h5_image image; /* the bytes of the file */
    struct h5_reader *reader;
    uint64_t step; /* in the user block */
    struct checkpoint *checkpoint;
    char *path, *crcs; /* crc_table.h */
};

static void print_shape(char text[64], int ndim, const uint64_t *dims)
{
    int n = snprintf(text, 64, "(");
    for (int i = 0; i < ndim; i++)
        n += snprintf(text + n, 64 - (size_t)n, "%s%" PRIu64, i ? "," : "", dims[i]);
    snprintf(text + n, 64 - (size_t)n, ")");
}

static int check_shape(const struct h5_entry *d, const struct tensor *t, const char *where,
                       struct error *err)
{
    char got[64], want[64];
    const uint64_t expected[2] = {t->shape[0], t->shape[1]};
    if ((int)d->ndim == t->ndim && d->dims[0] == expected[0] &&
        (d->ndim < 2 || d->dims[1] == expected[1]))
        return 0;
    print_shape(want, t->ndim, expected);
    if (d->ndim == 0 || d->ndim > 3)
        return fail(err, "%s: expected shape %s", where, want);
    print_shape(got, (int)d->ndim, d->dims);
    return fail(err, "%s: shape %s, expected %s", where, got, want);
}

/* Exact type and shape, and contiguous bytes that lie in this file. */
static int check_dataset(const struct h5_entry *d, const struct tensor *t, const char *where,
                         struct error *err)
{
    if (d->type != TYPE_F32)
        return fail(err, "%s: expected little-endian float32", where);
    if (check_shape(d, t, where, err))
        return -1;
    if (d->layout != LAYOUT_CONTIGUOUS || d->size != 4 * tensor_file_size(t))
        return fail(err, "%s: expected a contiguous dataset in this file", where);
    return 0;
}

/* Checks one tensor and, where there is an array, reads it. */
static int take_tensor(const struct checkpoint_file *f, struct h5_node group, const char *name,
                       const struct tensor *t, float *array, struct error *err)
{
    char where[512];
    snprintf(where, sizeof where, "%.400s: %s/%s", f->path, name, t->name);
    struct h5_node dataset;
    if (!h5_member(group, t->name, &dataset) || dataset.entry->kind != KIND_DATASET)
        return fail(err, "%s: missing", where);
    if (check_dataset(dataset.entry, t, where, err))
        return -1;
    if (!array)
        return 0;
    if (h5_read(dataset, 0, tensor_file_size(t), array + t->offset, err))
        return -1;
    return crc_table_check(f->crcs, name, t->name, array + t->offset, 4 * tensor_file_size(t),
                           where, err);
}

/* A group holds exactly the tensors of the table. */
static int take_group(const struct checkpoint_file *f, const char *name, float *array,
                      struct error *err)
{
    const struct tensors *t = f->checkpoint->tensors;
    struct h5_node group;
    if (!h5_group(h5_root(f->reader), name, &group))
        return fail(err, "%s: %s: missing", f->path, name);
    for (size_t i = 0; i < t->count; i++)
        if (take_tensor(f, group, name, &t->list[i], array, err))
            return -1;
    if (group.entry->n_members != t->count)
        return fail(err, "%s: %s: expected %zu tensors and nothing else", f->path, name, t->count);
    return 0;
}

static int read_config(struct checkpoint_file *f, struct error *err)
{
    struct config *config = &f->checkpoint->config;
    char *text, *format, name[512];
    snprintf(name, sizeof name, "%.400s: config", f->path);
    if (h5_read_string(h5_root(f->reader), "format", &format, err))
        return -1;
    const bool known = !strcmp(format, CHECKPOINT_FORMAT);
    if (!known)
        fail(err, "%s: format: expected \"%s\", got \"%.60s\"", f->path, CHECKPOINT_FORMAT, format);
    free(format);
    if (!known || h5_read_string(h5_root(f->reader), "config", &text, err))
        return -1;
    const int status = config_parse(config, text, name, err) || config_check(config, name, err);
    free(text);
    return status ? -1 : 0;
}

static int read_recent(struct checkpoint_file *f, struct error *err)
{
    char *text;
    if (h5_read_string(h5_root(f->reader), "recent_losses", &text, err))
        return -1;
    const int status = loss_window_parse(&f->checkpoint->state.recent, text);
    free(text);
    return status ? fail(err, "%s: recent_losses: expected a count and as many losses", f->path)
                  : 0;
}

static int read_state_fields(struct checkpoint_file *f, struct error *err)
{
    struct checkpoint *c = f->checkpoint;
    const struct h5_node root = h5_root(f->reader);
    const bool counted = h5_has_attribute(root, "tokens");
    int status = 0;
    for (size_t i = 0; i < state_field_count && !status; i++) {
        const struct state_field *field = &state_fields[i];
        void *at = (char *)&c->state + field->offset;
        if (at == &c->state.tokens && !counted)
            continue;
        status = field->is_float ? h5_read_f64(root, field->name, at, err)
                                 : h5_read_u64(root, field->name, at, err);
    }
    if (!counted)
        c->state.tokens = c->state.step * config_step_tokens(&c->config);
    return status;
}

static int read_state(struct checkpoint_file *f, struct error *err)
{
    struct checkpoint *c = f->checkpoint;
    char *fingerprint;
    if (read_state_fields(f, err) ||
        h5_read_string(h5_root(f->reader), "data_fingerprint", &fingerprint, err))
        return -1;
    if (read_recent(f, err)) {
        free(fingerprint);
        return -1;
    }
    snprintf(c->data_fingerprint, sizeof c->data_fingerprint, "%s", fingerprint);
    const bool whole = !strcmp(c->data_fingerprint, fingerprint);
    free(fingerprint);
    if (!whole)
        return fail(err, "%s: data_fingerprint: longer than 64 bytes", f->path);
    if (c->state.step != f->step)
        return fail(err, "%s: step: %" PRIu64 " in the user block, %" PRIu64 " in the attribute",
                    f->path, f->step, c->state.step);
    if (c->state.micro >= c->config.train.accumulate)
        return fail(err, "%s: micro: expected less than train.accumulate %" PRIu64 ", got %" PRIu64,
                    f->path, c->config.train.accumulate, c->state.micro);
    if (c->state.micro && !checkpoint_has(f, "grads"))
        return fail(err, "%s: grads: missing, though %" PRIu64 " micro-batches of a step are done",
                    f->path, c->state.micro);
    return 0;
}

static int read_tokenizer(struct checkpoint_file *f, struct error *err)
{
    char name[512];
    struct h5_node group;
    if (!h5_member(h5_root(f->reader), "tokenizer", &group))
        return 0;
    snprintf(name, sizeof name, "%.400s: tokenizer", f->path);
    if (group.entry->kind != KIND_GROUP)
        return fail(err, "%s: expected a group", name);
    f->checkpoint->tokenizer = tokenizer_read(group, err);
    return f->checkpoint->tokenizer ? 0 : -1;
}

static int make_table(struct checkpoint_file *f, struct error *err)
{
    struct checkpoint *c = f->checkpoint;
    struct model_config model;
    const size_t symbols = c->tokenizer ? c->tokenizer->vocab_size : 0;
    if (config_model(&c->config, symbols, &model, f->path, err))
        return -1;
    c->tensors = tensors_create(&model);
    if (!c->tensors)
        return fail(err, "%s: no memory for a model of these sizes", f->path);
    if (c->tensors->n_parameters > f->image.size / 4)
        return fail(err, "%s: expected %zu parameters, more than the file has room for", f->path,
                    c->tensors->n_parameters);
    return 0;
}

struct checkpoint_file *checkpoint_open(const char *path, struct checkpoint *c, struct error *err)
{
    memset(c, 0, sizeof *c);
    struct checkpoint_file *f = calloc(1, sizeof *f);
    if (!f) {
        fail(err, "%s: out of memory", path);
        return NULL;
    }
    f->image.file = -1;
    f->checkpoint = c;
    f->path = strdup(path);
    const int status = (f->path ? 0 : fail(err, "%s: out of memory", path)) ||
                       image_read(&f->image, &f->step, path, err) ||
                       !(f->reader = h5_open_bytes(f->image.bytes, f->image.size, path, err)) ||
                       read_config(f, err) || read_state(f, err) || read_tokenizer(f, err) ||
                       crc_table_read(h5_root(f->reader), &f->crcs, path, err) ||
                       make_table(f, err) || take_group(f, "params", NULL, err);
    if (status) {
        checkpoint_close(f);
        return NULL;
    }
    return f;
}

int checkpoint_read(struct checkpoint_file *f, const char *group, float *array, struct error *err)
{
    return take_group(f, group, array, err);
}

bool checkpoint_has(struct checkpoint_file *f, const char *name)
{
    struct h5_node group;
    return h5_group(h5_root(f->reader), name, &group);
}

void checkpoint_close(struct checkpoint_file *f)
{
    if (!f)
        return;
    tokenizer_destroy(f->checkpoint->tokenizer);
    tensors_destroy(f->checkpoint->tensors);
    f->checkpoint->tokenizer = NULL;
    f->checkpoint->tensors = NULL;
    h5_close(f->reader);
    h5_image_free(&f->image);
    free(f->path);
    free(f->crcs);
    free(f);
}

int checkpoint_fits(const struct checkpoint *c, const struct tensors *expected, const char *path,
                    struct error *err)
{
    const struct model_config *have = &c->tensors->config, *want = &expected->config;
    const struct {
        const char *name;
        size_t have, want;
    } sizes[] = {{"n_layer", have->n_layer, want->n_layer},
                 {"n_embd", have->n_embd, want->n_embd},
                 {"block_size", have->block_size, want->block_size},
                 {"vocab_size", have->vocab_size, want->vocab_size},
                 {"bias", have->bias, want->bias}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (sizes[i].have != sizes[i].want)
            return fail(err, "%s: model.%s is %zu, expected %zu", path, sizes[i].name,
                        sizes[i].have, sizes[i].want);
    return 0;
}
