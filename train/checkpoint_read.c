/* checkpoint_read.c: reads a checkpoint. The user block has vouched for every byte before HDF5 parses the first, but a checksum
 * proves nothing about who wrote it. So nothing is followed that could lead out of the file (soft and external links, external
 * storage, virtual datasets), types and shapes are compared, not converted, and no size is believed that the file is too short
 * for. */
#include "../data/h5.h"
#include "checkpoint.h"
#include "checkpoint_parts.h"
#include "crc_table.h"
#include "image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct checkpoint_file {
    struct h5_image image;
    uint64_t step; /* in the user block */
    struct checkpoint *checkpoint;
    char *path, *crcs; /* crc_table.h */
};

/* Whether a group has a member, as a hard link: no other kind is followed. */
static bool has_member(hid_t group, const char *name)
{
    H5L_info_t link;
    return H5Lexists(group, name, H5P_DEFAULT) > 0 && H5Lget_info(group, name, &link, H5P_DEFAULT) >= 0 &&
           link.type == H5L_TYPE_HARD;
}

/* Opens "a" or "a/b", component by component; -1 where it is missing or no group. */
static hid_t open_group(hid_t file, const char *path)
{
    char name[32];
    const char *slash = strchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) : strlen(path);
    if (n >= sizeof name)
        return -1;
    memcpy(name, path, n);
    name[n] = 0;
    const hid_t group = has_member(file, name) ? H5Gopen2(file, name, H5P_DEFAULT) : -1;
    if (group < 0 || !slash)
        return group;
    const hid_t inner = open_group(group, slash + 1);
    H5Gclose(group);
    return inner;
}

static void print_shape(char text[64], int ndim, const hsize_t *dims)
{
    int n = snprintf(text, 64, "(");
    for (int i = 0; i < ndim; i++)
        n += snprintf(text + n, 64 - (size_t)n, "%s%" PRIu64, i ? "," : "", (uint64_t)dims[i]);
    snprintf(text + n, 64 - (size_t)n, ")");
}

static int check_shape(hid_t space, const struct tensor *t, const char *where, struct error *err)
{
    hsize_t dims[H5S_MAX_RANK] = {0};
    const hsize_t expected[2] = {t->shape[0], t->shape[1]};
    char got[64], want[64];
    const int ndim = H5Sget_simple_extent_type(space) == H5S_SIMPLE ? H5Sget_simple_extent_dims(space, dims, NULL) : -1;
    if (ndim == t->ndim && dims[0] == expected[0] && (ndim < 2 || dims[1] == expected[1]))
        return 0;
    print_shape(want, t->ndim, expected);
    if (ndim < 0 || ndim > 3)
        return fail(err, "%s: expected shape %s", where, want);
    print_shape(got, ndim, dims);
    return fail(err, "%s: shape %s, expected %s", where, got, want);
}

/* Exact type and shape, and contiguous bytes that lie in this file. */
static int check_dataset(hid_t dataset, const struct tensor *t, const char *where, struct error *err)
{
    const hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset), create = H5Dget_create_plist(dataset);
    int status = -1;
    if (type < 0 || space < 0 || create < 0)
        fail(err, "%s: damaged", where);
    else if (H5Tequal(type, H5T_IEEE_F32LE) <= 0)
        fail(err, "%s: expected little-endian float32", where);
    else if (check_shape(space, t, where, err))
        ;
    else if (H5Pget_layout(create) != H5D_CONTIGUOUS || H5Pget_external_count(create) != 0 ||
             H5Dget_storage_size(dataset) != 4 * tensor_file_size(t))
        fail(err, "%s: expected a contiguous dataset in this file", where);
    else
        status = 0;
    if (type >= 0)
        H5Tclose(type);
    if (space >= 0)
        H5Sclose(space);
    if (create >= 0)
        H5Pclose(create);
    return status;
}

/* Checks one tensor and, where there is an array, reads it. */
static int take_tensor(const struct checkpoint_file *f, hid_t group, const char *name, const struct tensor *t, float *array,
                       struct error *err)
{
    char where[512];
    snprintf(where, sizeof where, "%.400s: %s/%s", f->path, name, t->name);
    const hid_t dataset = has_member(group, t->name) ? H5Dopen2(group, t->name, H5P_DEFAULT) : -1;
    if (dataset < 0)
        return fail(err, "%s: missing", where);
    int status = check_dataset(dataset, t, where, err);
    if (!status && array && H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, array + t->offset) < 0)
        status = h5_fail(err, where, "reading");
    H5Dclose(dataset);
    if (!status && array)
        status = crc_table_check(f->crcs, name, t->name, array + t->offset, 4 * tensor_file_size(t), where, err);
    return status;
}

/* A group holds exactly the tensors of the table. */
static int take_group(const struct checkpoint_file *f, const char *name, float *array, struct error *err)
{
    const struct tensors *t = f->checkpoint->tensors;
    H5G_info_t info;
    h5_lock();
    const hid_t group = open_group(f->image.file, name);
    int status = 0;
    if (group < 0)
        status = fail(err, "%s: %s: missing", f->path, name);
    for (size_t i = 0; i < t->count && !status; i++)
        status = take_tensor(f, group, name, &t->list[i], array, err);
    if (!status && (H5Gget_info(group, &info) < 0 || info.nlinks != t->count))
        status = fail(err, "%s: %s: expected %zu tensors and nothing else", f->path, name, t->count);
    if (group >= 0)
        H5Gclose(group);
    H5Eclear2(H5E_DEFAULT);
    h5_unlock();
    return status;
}

static int read_config(struct checkpoint_file *f, struct error *err)
{
    struct config *config = &f->checkpoint->config;
    char *text, *format, name[512];
    snprintf(name, sizeof name, "%.400s: config", f->path);
    if (h5_read_string(f->image.file, "format", &format, f->path, err))
        return -1;
    const bool known = !strcmp(format, CHECKPOINT_FORMAT);
    if (!known)
        fail(err, "%s: format: expected \"%s\", got \"%.60s\"", f->path, CHECKPOINT_FORMAT, format);
    free(format);
    if (!known || h5_read_string(f->image.file, "config", &text, f->path, err))
        return -1;
    const int status = config_parse(config, text, name, err) || config_check(config, name, err);
    free(text);
    return status ? -1 : 0;
}

static int read_recent(struct checkpoint_file *f, struct error *err)
{
    char *text;
    if (h5_read_string(f->image.file, "recent_losses", &text, f->path, err))
        return -1;
    const int status = recent_parse(&f->checkpoint->state.recent, text);
    free(text);
    return status ? fail(err, "%s: recent_losses: expected a count and as many losses", f->path) : 0;
}

static int read_state(struct checkpoint_file *f, struct error *err)
{
    struct checkpoint *c = f->checkpoint;
    char *fingerprint;
    int status = 0;
    for (size_t i = 0; i < state_field_count && !status; i++) {
        const struct state_field *field = &state_fields[i];
        void *at = (char *)&c->state + field->offset;
        status = field->is_float ? h5_read_f64(f->image.file, field->name, at, f->path, err)
                                 : h5_read_u64(f->image.file, field->name, at, f->path, err);
    }
    if (status || h5_read_string(f->image.file, "data_fingerprint", &fingerprint, f->path, err))
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
        return fail(err, "%s: step: %" PRIu64 " in the user block, %" PRIu64 " in the attribute", f->path, f->step,
                    c->state.step);
    if (c->state.micro >= c->config.train.accumulate)
        return fail(err, "%s: micro: expected less than train.accumulate %" PRIu64 ", got %" PRIu64, f->path,
                    c->config.train.accumulate, c->state.micro);
    if (c->state.micro && !checkpoint_has(f, "grads"))
        return fail(err, "%s: grads: missing, though %" PRIu64 " micro-batches of a step are done", f->path, c->state.micro);
    return 0;
}

static int read_tokenizer(struct checkpoint_file *f, struct error *err)
{
    char name[512];
    if (H5Lexists(f->image.file, "tokenizer", H5P_DEFAULT) == 0)
        return 0;
    snprintf(name, sizeof name, "%.400s: tokenizer", f->path);
    const hid_t group = open_group(f->image.file, "tokenizer");
    if (group < 0)
        return fail(err, "%s: expected a group", name);
    f->checkpoint->tokenizer = tokenizer_read(group, name, err);
    H5Gclose(group);
    return f->checkpoint->tokenizer ? 0 : -1;
}

static int make_table(struct checkpoint_file *f, struct error *err)
{
    struct checkpoint *c = f->checkpoint;
    struct model_config model;
    const size_t symbols = c->tokenizer ? tokenizer_vocab_size(c->tokenizer) : 0;
    if (config_model(&c->config, symbols, &model, f->path, err))
        return -1;
    c->tensors = tensors_create(&model);
    if (!c->tensors)
        return fail(err, "%s: no memory for a model of these sizes", f->path);
    if (c->tensors->n_parameters > f->image.size / 4)
        return fail(err, "%s: expected %zu parameters, more than the file has room for", f->path, c->tensors->n_parameters);
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
    h5_lock();
    const int status = (f->path ? 0 : fail(err, "%s: out of memory", path)) || image_read(&f->image, &f->step, path, err) ||
                       h5_image_open(&f->image, path, err) || read_config(f, err) || read_state(f, err) ||
                       read_tokenizer(f, err) || crc_table_read(f->image.file, &f->crcs, path, err) || make_table(f, err) ||
                       take_group(f, "params", NULL, err);
    h5_unlock();
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
    h5_lock();
    const hid_t group = open_group(f->image.file, name);
    if (group >= 0)
        H5Gclose(group);
    H5Eclear2(H5E_DEFAULT);
    h5_unlock();
    return group >= 0;
}

void checkpoint_close(struct checkpoint_file *f)
{
    if (!f)
        return;
    tokenizer_destroy(f->checkpoint->tokenizer);
    tensors_destroy(f->checkpoint->tensors);
    f->checkpoint->tokenizer = NULL;
    f->checkpoint->tensors = NULL;
    h5_image_free(&f->image);
    free(f->path);
    free(f->crcs);
    free(f);
}

int checkpoint_fits(const struct checkpoint *c, const struct tensors *expected, const char *path, struct error *err)
{
    const struct tensors *have = c->tensors;
    for (size_t i = 0; i < have->count && i < expected->count; i++) {
        const struct tensor *a = &have->list[i], *b = &expected->list[i];
        char got[64], want[64];
        if (strcmp(a->name, b->name))
            return fail(err, "%s: params/%s, expected %s", path, a->name, b->name);
        if (a->ndim == b->ndim && a->shape[0] == b->shape[0] && a->shape[1] == b->shape[1])
            continue;
        print_shape(got, a->ndim, (const hsize_t[]){a->shape[0], a->shape[1]});
        print_shape(want, b->ndim, (const hsize_t[]){b->shape[0], b->shape[1]});
        return fail(err, "%s: params/%s: shape %s, expected %s", path, a->name, got, want);
    }
    if (have->count != expected->count)
        return fail(err, "%s: params: %zu tensors, expected %zu", path, have->count, expected->count);
    return 0;
}
