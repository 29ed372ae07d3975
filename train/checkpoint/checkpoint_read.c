/* checkpoint_read.c: reads a checkpoint. The checksums of the user block are verified before HDF5
 * parses anything, but they do not show who wrote the file. So it is parsed in a sandbox
 * (data/hdf5/h5_read.h), types and shapes are compared rather than converted, and sizes that exceed
 * the file are rejected. */
#include "base/text_append.h"
#include "data/hdf5/h5_read.h"
#include "train/checkpoint/checkpoint_parts.h"
#include "train/checkpoint/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct checkpoint_file {
    struct h5_image image; /* the bytes of the file */
    struct h5_reader *reader;
    struct h5_node root;
    uint64_t step; /* in the user block */
    struct checkpoint *checkpoint;
    char *path, *crcs; /* crcs: the text of the dataset "crc32", or NULL */
};

/* --- tensors --- */

/* "(5,12)" */
static char *shape_text(char text[64], size_t ndim, const uint64_t *dims)
{
    strcpy(text, "(");
    for (size_t i = 0; i < ndim; i++)
        text_append(text, 64, "%s%" PRIu64, i ? "," : "", dims[i]);
    return text_append(text, 64, ")");
}

/* Checks for the exact type and shape, and for contiguous data within this file. */
static int check_dataset(const struct h5_entry *d, const struct tensor *t, const char *where,
                         struct error *err)
{
    char got[64], want[64];
    if (d->type != TYPE_F32)
        return fail(err, "%s: expected little-endian float32", where);
    shape_text(want, (size_t)t->ndim, (const uint64_t[]){t->shape[0], t->shape[1]});
    if (strcmp(shape_text(got, d->ndim, d->dims), want))
        return fail(err, "%s: shape %s, expected %s", where, got, want);
    if (d->layout != LAYOUT_CONTIGUOUS || d->size != 4 * tensor_file_size(t))
        return fail(err, "%s: expected a contiguous dataset in this file", where);
    return 0;
}

/* Checks one tensor and, if array is not NULL, reads it. */
static int read_tensor(const struct checkpoint_file *f, struct h5_node group,
                       const char *group_name, const struct tensor *t, float *array,
                       struct error *err)
{
    char where[512], line[CRC_LINE_MAX];
    struct h5_node dataset;
    snprintf(where, sizeof where, "%.400s: %s/%s", f->path, group_name, t->name);
    if (!h5_member(group, t->name, &dataset) || dataset.entry->kind != KIND_DATASET)
        return fail(err, "%s: missing", where);
    if (check_dataset(dataset.entry, t, where, err))
        return -1;
    if (!array)
        return 0;
    array += t->offset;
    if (h5_read(dataset, 0, tensor_file_size(t), array, err))
        return -1;
    const uLong crc = crc32_z(0, (const unsigned char *)array, 4 * tensor_file_size(t));
    crc_line(line, (unsigned)crc, group_name, t->name);
    return !f->crcs || strstr(f->crcs, line)
               ? 0
               : fail(err, "%s: damaged: its checksum is wrong", where);
}

int checkpoint_read(struct checkpoint_file *f, const char *group, float *array, struct error *err)
{
    const struct tensors *t = f->checkpoint->tensors;
    struct h5_node node;
    if (!h5_group(f->root, group, &node))
        return fail(err, "%s: %s: missing", f->path, group);
    for (size_t i = 0; i < t->count; i++)
        if (read_tensor(f, node, group, &t->list[i], array, err))
            return -1;
    if (node.entry->n_members != t->count)
        return fail(err, "%s: %s: expected %zu tensors and nothing else", f->path, group, t->count);
    return 0;
}

bool checkpoint_has(struct checkpoint_file *f, const char *group)
{
    struct h5_node node;
    return h5_group(f->root, group, &node);
}

/* Reads the checksums of the tensors. Older files have none. */
static int read_crcs(struct checkpoint_file *f, struct error *err)
{
    enum { SIZE_LIMIT = 16 << 20 /* bytes; the largest GPT-2 has 0.2 MB */ };
    struct h5_node dataset;
    if (!h5_member(f->root, "crc32", &dataset))
        return 0;
    if (h5_find_dataset(f->root, "crc32", TYPE_U8, SIZE_LIMIT, &dataset, err))
        return -1;
    f->crcs = calloc(dataset.entry->dims[0] + 1, 1);
    return f->crcs ? h5_read(dataset, 0, dataset.entry->dims[0], f->crcs, err)
                   : fail(err, "%s: out of memory", f->path);
}

/* --- attributes --- */

static int read_config(struct checkpoint_file *f, struct error *err)
{
    struct config *config = &f->checkpoint->config;
    char *text = NULL, *format = NULL, name[512];
    snprintf(name, sizeof name, "%.400s: config", f->path);
    int status = h5_read_string(f->root, "format", &format, err);
    if (!status && strcmp(format, CHECKPOINT_FORMAT))
        status = fail(err, "%s: format: expected \"%s\", got \"%.60s\"", f->path, CHECKPOINT_FORMAT,
                      format);
    status = status || h5_read_string(f->root, "config", &text, err) ||
             config_parse(config, text, name, err) || config_check(config, name, err);
    free(format);
    free(text);
    return status;
}

static int read_state_fields(struct checkpoint_file *f, struct error *err)
{
    struct checkpoint *c = f->checkpoint;
    int status = 0;
    for (size_t i = 0; i < state_field_count && !status; i++) {
        const struct state_field *field = &state_fields[i];
        void *at = (char *)&c->state + field->offset;
        if (field->later && !h5_has_attribute(f->root, field->name))
            continue;
        status = field->is_float ? h5_read_f64(f->root, field->name, at, err)
                                 : h5_read_u64(f->root, field->name, at, err);
    }
    if (!h5_has_attribute(f->root, "tokens"))
        c->state.tokens = c->state.step * config_step_tokens(&c->config);
    return status;
}

/* Reads a string attribute into an array of `size` bytes. */
static int read_short_string(struct checkpoint_file *f, const char *name, char *text, size_t size,
                             struct error *err)
{
    char *string = NULL;
    int status = h5_read_string(f->root, name, &string, err);
    if (!status && snprintf(text, size, "%s", string) >= (int)size)
        status = fail(err, "%s: %s: longer than %zu bytes", f->path, name, size - 1);
    free(string);
    return status;
}

/* Older files have no val_measure. */
static int read_strings(struct checkpoint_file *f, struct error *err)
{
    struct checkpoint *c = f->checkpoint;
    struct train_state *s = &c->state;
    char recent[LOSS_WINDOW_TEXT];
    if (read_short_string(f, "recent_losses", recent, sizeof recent, err) ||
        read_short_string(f, "data_fingerprint", c->data_fingerprint, sizeof c->data_fingerprint,
                          err) ||
        (h5_has_attribute(f->root, "val_measure") &&
         read_short_string(f, "val_measure", s->val_measure, sizeof s->val_measure, err)))
        return -1;
    return loss_window_parse(&s->recent, recent)
               ? fail(err, "%s: recent_losses: expected a count and as many losses", f->path)
               : 0;
}

static int read_state(struct checkpoint_file *f, struct error *err)
{
    const struct checkpoint *c = f->checkpoint;
    if (read_state_fields(f, err) || read_strings(f, err))
        return -1;
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
    if (!h5_member(f->root, "tokenizer", &group))
        return 0;
    snprintf(name, sizeof name, "%.400s: tokenizer", f->path);
    if (group.entry->kind != KIND_GROUP)
        return fail(err, "%s: expected a group", name);
    f->checkpoint->tokenizer = tokenizer_read(group, err);
    return f->checkpoint->tokenizer ? 0 : -1;
}

static int create_table(struct checkpoint_file *f, struct error *err)
{
    struct checkpoint *c = f->checkpoint;
    c->tensors = config_tensors(&c->config, checkpoint_symbols(c), f->path, err);
    if (!c->tensors)
        return -1;
    if (c->tensors->n_parameters > f->image.size / 4)
        return fail(err, "%s: expected %zu parameters, more than fit in the file", f->path,
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
    if (!f->path)
        fail(err, "%s: out of memory", path);
    else if (!image_read(&f->image, &f->step, path, err) &&
             (f->reader = h5_open_bytes(f->image.bytes, f->image.size, path, err))) {
        f->root = h5_root(f->reader);
        if (!read_config(f, err) && !read_state(f, err) && !read_tokenizer(f, err) &&
            !read_crcs(f, err) && !create_table(f, err) && !checkpoint_read(f, "params", NULL, err))
            return f;
    }
    checkpoint_close(f);
    return NULL;
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

int checkpoint_fits(const struct checkpoint *c, const struct model_config *want, const char *path,
                    struct error *err)
{
    const struct model_config *have = &c->tensors->config;
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
