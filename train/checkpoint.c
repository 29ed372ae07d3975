/* checkpoint.c: makes the file of a checkpoint, as checkpoint.h describes it: HDF5 lays it out in memory, snapshot.c does the rest.
 *
 * HDF5 gives every tensor its place and never touches its bytes: they are copied there, or written from where they are, by us.
 * So a save from the arrays themselves takes hardly any memory, and one that copies them does so at the memory's speed. */
#include "checkpoint.h"
#include "../data/h5.h"
#include "checkpoint_parts.h"
#include "image.h"
#include "snapshot.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct state_field state_fields[] = {
    {"step", false, offsetof(struct train_state, step)},
    {"micro", false, offsetof(struct train_state, micro)},
    {"micro_loss", true, offsetof(struct train_state, micro_loss)},
    {"smoothed_loss", true, offsetof(struct train_state, smoothed_loss)},
    {"val_loss", true, offsetof(struct train_state, val_loss)},
    {"best_val_loss", true, offsetof(struct train_state, best_val_loss)},
    {"val_step", false, offsetof(struct train_state, val_step)},
    {"best_step", false, offsetof(struct train_state, best_step)},
    {"updates", false, offsetof(struct train_state, updates)},
    {"skipped", false, offsetof(struct train_state, skipped)},
    {"skipped_in_row", false, offsetof(struct train_state, skipped_in_row)},
    {"spikes", false, offsetof(struct train_state, spikes)},
    {"rollbacks", false, offsetof(struct train_state, rollbacks)},
    {"rolled_back_from", false, offsetof(struct train_state, rolled_back_from)},
    {"rolled_back_to", false, offsetof(struct train_state, rolled_back_to)},
    {"batch_shift", false, offsetof(struct train_state, batch_shift)},
};
const size_t state_field_count = sizeof state_fields / sizeof *state_fields;

/* A group below a group; the file keeps no times, so that equal contents are equal bytes. */
static hid_t create_group(hid_t parent, const char *name, const char *path, struct error *err)
{
    const hid_t create = H5Pcreate(H5P_GROUP_CREATE);
    hid_t group = -1;
    if (H5Pset_obj_track_times(create, false) < 0 || (group = H5Gcreate2(parent, name, H5P_DEFAULT, create, H5P_DEFAULT)) < 0)
        h5_fail(err, path, name);
    H5Pclose(create);
    return group;
}

/* A dataset in one piece that has its place in the file, and whose contents are ours to fill in. */
static hid_t create_dataset(hid_t group, const char *name, hid_t type, hid_t space, const char *path, struct error *err)
{
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    hid_t dataset = -1;
    if (H5Pset_layout(create, H5D_CONTIGUOUS) < 0 || H5Pset_alloc_time(create, H5D_ALLOC_TIME_EARLY) < 0 ||
        H5Pset_fill_time(create, H5D_FILL_TIME_NEVER) < 0 || H5Pset_obj_track_times(create, false) < 0 ||
        (dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, create, H5P_DEFAULT)) < 0)
        h5_fail(err, path, name);
    H5Pclose(create);
    return dataset;
}

/* Where its bytes will be. */
static int place_dataset(hid_t dataset, size_t *offset, const char *path, const char *name, struct error *err)
{
    const haddr_t at = dataset < 0 ? HADDR_UNDEF : H5Dget_offset(dataset);
    *offset = (size_t)at;
    return (dataset < 0 ? 1 : H5Dclose(dataset) < 0) || at == HADDR_UNDEF ? h5_fail(err, path, name) : 0;
}

/* The table of checksums, that snapshot_seal fills in. */
static int lay_out_table(hid_t file, struct snapshot *s, const char *path, struct error *err)
{
    const hsize_t size = s->table_size;
    const hid_t space = H5Screate_simple(1, &size, NULL);
    const int status =
        place_dataset(create_dataset(file, "crc32", H5T_STD_U8LE, space, path, err), &s->table_offset, path, "crc32", err);
    H5Sclose(space);
    return status;
}

/* One tensor as float32. Its rows come first in memory, so padding stays behind. */
static int lay_out_tensor(hid_t group, struct snapshot *s, const struct tensor *t, const float *array, const char *path,
                          struct error *err)
{
    const hsize_t dims[2] = {t->shape[0], t->shape[1]};
    const hid_t space = H5Screate_simple(t->ndim, dims, NULL);
    struct extent *e = &s->extents[s->count];
    const size_t end = s->count ? e[-1].offset + e[-1].size : USER_BLOCK;
    int status = place_dataset(create_dataset(group, t->name, H5T_IEEE_F32LE, space, path, err), &e->offset, path, t->name, err);
    if (!status && e->offset < end)
        status = fail(err, "%s: %s: the HDF5 library did not put it behind the tensor before it", path, t->name);
    e->size = tensor_file_size(t) * sizeof *array;
    e->from = array + t->offset;
    s->count++;
    H5Sclose(space);
    return status;
}

static int lay_out_tensors(hid_t parent, const char *name, struct snapshot *s, const struct tensors *t, const float *array,
                           const char *path, struct error *err)
{
    if (!array)
        return 0;
    const hid_t group = create_group(parent, name, path, err);
    if (group < 0)
        return -1;
    int status = 0;
    for (size_t i = 0; i < t->count && !status; i++)
        status = lay_out_tensor(group, s, &t->list[i], array, path, err);
    H5Gclose(group);
    return status;
}

static int lay_out_adamw(hid_t file, struct snapshot *s, const struct checkpoint *c, const char *path, struct error *err)
{
    if (!c->m && !c->v)
        return 0;
    const hid_t group = create_group(file, "adamw", path, err);
    if (group < 0)
        return -1;
    const int status = lay_out_tensors(group, "m", s, c->tensors, c->m, path, err) ||
                       lay_out_tensors(group, "v", s, c->tensors, c->v, path, err);
    H5Gclose(group);
    return status ? -1 : 0;
}

static int write_tokenizer(hid_t file, const struct tokenizer *t, const char *path, struct error *err)
{
    if (!t)
        return 0;
    const hid_t group = create_group(file, "tokenizer", path, err);
    if (group < 0)
        return -1;
    const int status = tokenizer_write(t, group, path, err);
    H5Gclose(group);
    return status;
}

static int write_attributes(hid_t file, const struct checkpoint *c, const char *path, struct error *err)
{
    char *config = config_text(&c->config), recent[RECENT_TEXT];
    int status = config ? 0 : fail(err, "%s: out of memory", path);
    status = status || h5_write_string(file, "format", CHECKPOINT_FORMAT, path, err) ||
             h5_write_string(file, "config", config, path, err) ||
             h5_write_string(file, "data_fingerprint", c->data_fingerprint, path, err) ||
             h5_write_string(file, "recent_losses", recent_text(&c->state.recent, recent), path, err);
    for (size_t i = 0; i < state_field_count && !status; i++) {
        const struct state_field *f = &state_fields[i];
        const void *at = (const char *)&c->state + f->offset;
        status = f->is_float ? h5_write_f64(file, f->name, *(const double *)at, path, err)
                             : h5_write_u64(file, f->name, *(const uint64_t *)at, path, err);
    }
    free(config);
    return status ? -1 : 0;
}

/* What a reader would refuse must not be written. */
static int check(const struct checkpoint *c, const char *path, struct error *err)
{
    struct model_config model;
    const size_t symbols = c->tokenizer ? tokenizer_vocab_size(c->tokenizer) : 0;
    if (config_check(&c->config, path, err) || config_model(&c->config, symbols, &model, path, err))
        return -1;
    if (c->state.micro && !c->grads)
        return fail(err, "%s: a step in hand, but no gradients to save", path);
    struct tensors *expected = tensors_create(&model);
    if (!expected)
        return fail(err, "%s: out of memory", path);
    const int status = checkpoint_fits(c, expected, path, err);
    tensors_destroy(expected);
    return status;
}

/* The groups of tensors, in the order in which they lie in the file. */
static size_t arrays_of(const struct checkpoint *c, const float *arrays[4], const char *names[4])
{
    const float *const all[] = {c->params, c->m, c->v, c->grads};
    static const char *const groups[] = {"params", "adamw/m", "adamw/v", "grads"};
    size_t n = 0;
    for (size_t i = 0; i < 4; i++)
        if (all[i]) {
            arrays[n] = all[i];
            names[n++] = groups[i];
        }
    return n;
}

/* Lists the tensors, with nothing but their names, and makes the table of checksums without its checksums. */
static int list_tensors(struct snapshot *s, const struct checkpoint *c, const char *path, struct error *err)
{
    static const char NO_CRC[] = "00000000";
    const float *arrays[4];
    const char *groups[4];
    const size_t n = arrays_of(c, arrays, groups);
    size_t size = 0, at = 0;
    for (size_t g = 0; g < n; g++)
        for (size_t i = 0; i < c->tensors->count; i++)
            size += (size_t)snprintf(NULL, 0, "%s  %s/%s\n", NO_CRC, groups[g], c->tensors->list[i].name);
    s->extents = calloc(n * c->tensors->count, sizeof *s->extents);
    s->table = malloc(size + 1);
    if (!s->extents || !s->table)
        return fail(err, "%s: out of memory", path);
    s->table_size = size;
    for (size_t g = 0; g < n; g++)
        for (size_t i = 0; i < c->tensors->count; i++) {
            s->extents[g * c->tensors->count + i].line = s->table + at;
            at += (size_t)sprintf(s->table + at, "%s  %s/%s\n", NO_CRC, groups[g], c->tensors->list[i].name);
        }
    return 0;
}

/* What HDF5 itself takes: about 440 bytes a tensor, for its object header and link. */
static size_t metadata_size(const struct checkpoint *c)
{
    const float *arrays[4];
    const char *groups[4];
    return arrays_of(c, arrays, groups) * 480 * c->tensors->count + (16 << 10);
}

size_t checkpoint_size(const struct checkpoint *c)
{
    const float *arrays[4];
    const char *groups[4];
    const size_t tokenizer = c->tokenizer ? 4 * tokenizer_vocab_size(c->tokenizer) : 0;
    return arrays_of(c, arrays, groups) * (4 * c->tensors->n_parameters + 80 * c->tensors->count) + metadata_size(c) + tokenizer +
           ((size_t)1 << 20);
}

static int lay_out(struct snapshot *s, const struct checkpoint *c, const char *path, struct error *err)
{
    const hid_t file = s->image.file;
    h5_lock();
    const int status = write_attributes(file, c, path, err) || write_tokenizer(file, c->tokenizer, path, err) ||
                       lay_out_table(file, s, path, err) ||
                       lay_out_tensors(file, "params", s, c->tensors, c->params, path, err) ||
                       lay_out_adamw(file, s, c, path, err) || lay_out_tensors(file, "grads", s, c->tensors, c->grads, path, err);
    h5_unlock();
    return status ? -1 : 0;
}

/* A buffer that served before holds bytes of another file, and HDF5 leaves holes. */
static void clear_holes(struct snapshot *s)
{
    size_t at = s->image.written;
    for (size_t i = 0; i <= s->count; i++) {
        const size_t end = i < s->count ? s->extents[i].offset : s->image.size;
        if (end > at)
            memset(s->image.bytes + at, 0, end - at);
        if (i < s->count && end + s->extents[i].size > at)
            at = end + s->extents[i].size;
    }
}

int checkpoint_lay_out(struct snapshot *s, const struct checkpoint *c, const char *path, struct error *err)
{
    snapshot_clear(s);
    s->step = c->state.step;
    s->image.user_block = USER_BLOCK;
    if (!s->image.bytes)
        s->image.capacity = checkpoint_size(c);
    if (check(c, path, err) || list_tensors(s, c, path, err) || h5_image_create_sized(&s->image, metadata_size(c), path, err) ||
        lay_out(s, c, path, err) || h5_image_finish(&s->image, path, err))
        return -1;
    clear_holes(s);
    return 0;
}

int checkpoint_write(const struct checkpoint *c, const char *path, struct error *err)
{
    struct snapshot s = {.image.file = -1};
    int status = checkpoint_lay_out(&s, c, path, err);
    if (!status) {
        snapshot_seal(&s);
        status = snapshot_write(&s, path, err);
    }
    snapshot_clear(&s);
    h5_image_free(&s.image);
    return status;
}
