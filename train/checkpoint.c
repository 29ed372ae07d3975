/* checkpoint.c: writes a checkpoint, as checkpoint.h describes it: fills an HDF5 image in memory and hands it to atomic_write. */
#include "checkpoint.h"
#include "../data/atomic.h"
#include "../data/h5.h"
#include "checkpoint_parts.h"
#include "image.h"

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

/* One tensor, contiguous float32. Its rows come first in memory, so padding stays behind. */
static int write_tensor(hid_t group, const struct tensor *t, const float *array, const char *path, struct error *err)
{
    const hsize_t dims[2] = {t->shape[0], t->shape[1]};
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(t->ndim, dims, NULL);
    hid_t dataset = -1;
    int status = -1;
    if (H5Pset_layout(create, H5D_CONTIGUOUS) >= 0 && H5Pset_fill_time(create, H5D_FILL_TIME_NEVER) >= 0 &&
        H5Pset_obj_track_times(create, false) >= 0)
        dataset = H5Dcreate2(group, t->name, H5T_IEEE_F32LE, space, H5P_DEFAULT, create, H5P_DEFAULT);
    if (dataset >= 0 && H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, array + t->offset) >= 0)
        status = 0;
    /* Closing tells of a write that failed late. */
    if (dataset >= 0 && H5Dclose(dataset) < 0)
        status = -1;
    if (status)
        h5_fail(err, path, t->name);
    H5Sclose(space);
    H5Pclose(create);
    return status;
}

static int write_tensors(hid_t parent, const char *name, const struct tensors *t, const float *array, const char *path,
                         struct error *err)
{
    if (!array)
        return 0;
    const hid_t group = create_group(parent, name, path, err);
    if (group < 0)
        return -1;
    int status = 0;
    for (size_t i = 0; i < t->count && !status; i++)
        status = write_tensor(group, &t->list[i], array, path, err);
    H5Gclose(group);
    return status;
}

static int write_adamw(hid_t file, const struct checkpoint *c, const char *path, struct error *err)
{
    if (!c->m && !c->v)
        return 0;
    const hid_t group = create_group(file, "adamw", path, err);
    if (group < 0)
        return -1;
    const int status =
        write_tensors(group, "m", c->tensors, c->m, path, err) || write_tensors(group, "v", c->tensors, c->v, path, err);
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
    char *config = config_text(&c->config);
    int status = config ? 0 : fail(err, "%s: out of memory", path);
    status = status || h5_write_string(file, "format", CHECKPOINT_FORMAT, path, err) ||
             h5_write_string(file, "config", config, path, err) ||
             h5_write_string(file, "data_fingerprint", c->data_fingerprint, path, err);
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

/* A little more than the file will have: a tensor's object header and link take less than 700 bytes. */
static size_t expected_size(const struct checkpoint *c)
{
    const size_t arrays = !!c->params + !!c->m + !!c->v + !!c->grads;
    const size_t tokenizer = c->tokenizer ? 4 * tokenizer_vocab_size(c->tokenizer) : 0;
    return arrays * (4 * c->tensors->n_parameters + 1024 * c->tensors->count) + tokenizer + ((size_t)2 << 20);
}

static int fill(const struct h5_image *image, const struct checkpoint *c, const char *path, struct error *err)
{
    h5_lock();
    const int status = write_attributes(image->file, c, path, err) || write_tokenizer(image->file, c->tokenizer, path, err) ||
                       write_tensors(image->file, "params", c->tensors, c->params, path, err) ||
                       write_adamw(image->file, c, path, err) ||
                       write_tensors(image->file, "grads", c->tensors, c->grads, path, err);
    h5_unlock();
    return status ? -1 : 0;
}

int checkpoint_write(const struct checkpoint *c, const char *path, struct error *err)
{
    struct h5_image image = {.file = -1};
    int status = -1;
    if (check(c, path, err) || image_create(&image, expected_size(c), path, err) || fill(&image, c, path, err) ||
        image_finish(&image, c->state.step, path, err))
        goto out;
    status = atomic_write(path, image.bytes, USER_BLOCK, image.bytes + USER_BLOCK, image.size - USER_BLOCK, err);
out:
    h5_image_free(&image);
    return status;
}
