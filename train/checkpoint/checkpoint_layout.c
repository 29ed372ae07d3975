/* checkpoint_layout.c: lets HDF5 make the file of a checkpoint in memory, all but the bytes of the tensors.
 *
 * libhdf5 crashes where malloc fails in some of its places, so it works in a process of its own (data/sandbox.h): what comes back is
 * where each tensor belongs, and the bytes around them. A crash there costs a save, which is told and tried again, not the run. */
#include "data/hdf5/h5.h"
#include "data/hdf5/sandbox.h"
#include "train/checkpoint/checkpoint_parts.h"
#include "train/checkpoint/image.h"
#include "train/checkpoint/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- through HDF5 --- */

/* A group below a group; the file keeps no times, so that equal contents are equal bytes. */
static hid_t create_group(hid_t parent, const char *name, const char *path, struct error *err)
{
    const hid_t create = H5Pcreate(H5P_GROUP_CREATE);
    hid_t group = -1;
    if (H5Pset_obj_track_times(create, false) < 0 ||
        (group = H5Gcreate2(parent, name, H5P_DEFAULT, create, H5P_DEFAULT)) < 0)
        h5_fail(err, path, name);
    H5Pclose(create);
    return group;
}

/* A dataset in one piece that has its place in the file, and whose contents are ours to fill in. */
static hid_t create_dataset(hid_t group, const char *name, hid_t type, hid_t space,
                            const char *path, struct error *err)
{
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    hid_t dataset = -1;
    if (H5Pset_layout(create, H5D_CONTIGUOUS) < 0 ||
        H5Pset_alloc_time(create, H5D_ALLOC_TIME_EARLY) < 0 ||
        H5Pset_fill_time(create, H5D_FILL_TIME_NEVER) < 0 ||
        H5Pset_obj_track_times(create, false) < 0 ||
        (dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, create, H5P_DEFAULT)) < 0)
        h5_fail(err, path, name);
    H5Pclose(create);
    return dataset;
}

/* Where its bytes will be. */
static int place_dataset(hid_t dataset, size_t *offset, const char *path, const char *name,
                         struct error *err)
{
    const haddr_t at = dataset < 0 ? HADDR_UNDEF : H5Dget_offset(dataset);
    *offset = (size_t)at;
    return (dataset < 0 ? 1 : H5Dclose(dataset) < 0) || at == HADDR_UNDEF ? h5_fail(err, path, name)
                                                                          : 0;
}

/* The table of checksums, that snapshot_seal fills in. */
static int lay_out_table(hid_t file, struct snapshot *s, const char *path, struct error *err)
{
    const hsize_t size = s->table_size;
    const hid_t space = H5Screate_simple(1, &size, NULL);
    const int status = place_dataset(create_dataset(file, "crc32", H5T_STD_U8LE, space, path, err),
                                     &s->table_offset, path, "crc32", err);
    H5Sclose(space);
    return status;
}

/* Tensors as float32, as snapshot->extents list them; rows come first in memory, so padding stays behind. */
static int lay_out_tensors(hid_t parent, const char *name, struct snapshot *s,
                           const struct tensors *t, const float *array, const char *path,
                           struct error *err)
{
    if (!array)
        return 0;
    const hid_t group = create_group(parent, name, path, err);
    if (group < 0)
        return -1;
    int status = 0;
    for (size_t i = 0; i < t->count && !status; i++) {
        const struct tensor *x = &t->list[i];
        const hsize_t dims[2] = {x->shape[0], x->shape[1]};
        const hid_t space = H5Screate_simple(x->ndim, dims, NULL),
                    dataset = create_dataset(group, x->name, H5T_IEEE_F32LE, space, path, err);
        status = place_dataset(dataset, &s->extents[s->count++].offset, path, x->name, err);
        H5Sclose(space);
    }
    H5Gclose(group);
    return status;
}

static int lay_out_adamw(hid_t file, struct snapshot *s, const struct checkpoint *c,
                         const char *path, struct error *err)
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

static int write_tokenizer(hid_t file, const struct tokenizer *t, const char *path,
                           struct error *err)
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

static int write_attributes(hid_t file, const struct checkpoint *c, const char *path,
                            struct error *err)
{
    char *config = config_text(&c->config), recent[LOSS_WINDOW_TEXT];
    int status = config ? 0 : fail(err, "%s: out of memory", path);
    status = status || h5_write_string(file, "format", CHECKPOINT_FORMAT, path, err) ||
             h5_write_string(file, "config", config, path, err) ||
             h5_write_string(file, "data_fingerprint", c->data_fingerprint, path, err) ||
             h5_write_string(file, "recent_losses", loss_window_text(&c->state.recent, recent),
                             path, err);
    for (size_t i = 0; i < state_field_count && !status; i++) {
        const struct state_field *f = &state_fields[i];
        const void *at = (const char *)&c->state + f->offset;
        status = f->is_float ? h5_write_f64(file, f->name, *(const double *)at, path, err)
                             : h5_write_u64(file, f->name, *(const uint64_t *)at, path, err);
    }
    free(config);
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

/* Tensors follow one another, inside the file. */
static int check_places(const struct snapshot *s, const char *path, struct error *err)
{
    size_t end = USER_BLOCK;
    for (size_t i = 0; i < s->count; i++) {
        const struct extent *e = &s->extents[i];
        if (e->offset < end || e->offset > s->image.size || e->size > s->image.size - e->offset)
            return fail(err, "%s: the HDF5 library did not put its tensors one behind the other",
                        path);
        end = e->offset + e->size;
    }
    return s->table_offset < s->image.size && s->table_size <= s->image.size - s->table_offset
               ? 0
               : fail(err, "%s: the HDF5 library put the table of checksums outside the file",
                      path);
}

static int lay_out(struct snapshot *s, const struct checkpoint *c, const char *path,
                   struct error *err)
{
    if (h5_image_create_sized(&s->image, checkpoint_metadata_size(c), path, err))
        return -1;
    const hid_t file = s->image.file;
    const size_t count = s->count;
    s->count = 0;
    h5_lock();
    const int status = write_attributes(file, c, path, err) ||
                       write_tokenizer(file, c->tokenizer, path, err) ||
                       lay_out_table(file, s, path, err) ||
                       lay_out_tensors(file, "params", s, c->tensors, c->params, path, err) ||
                       lay_out_adamw(file, s, c, path, err) ||
                       lay_out_tensors(file, "grads", s, c->tensors, c->grads, path, err);
    h5_unlock();
    s->count = count;
    if (status || h5_image_finish(&s->image, path, err) || check_places(s, path, err))
        return -1;
    clear_holes(s);
    return 0;
}

/* --- in a process of its own --- */

/* What comes back, followed by the offsets of the extents and by the bytes around them. */
struct layout {
    int failed;
    struct error err;
    size_t size, table_offset;
};

struct layout_job {
    struct snapshot *s;
    const struct checkpoint *c;
    const char *path;
};

/* Copies the bytes around the tensors out of the image, or into it; returns how many they are, or SIZE_MAX where there is no room. */
static size_t copy_around(const struct snapshot *s, unsigned char *bytes, size_t capacity,
                          bool into)
{
    size_t at = 0, n = 0;
    for (size_t i = 0; i <= s->count; i++) {
        const size_t end = i < s->count ? s->extents[i].offset : s->image.size;
        if (end - at > capacity - n)
            return SIZE_MAX;
        memcpy(into ? s->image.bytes + at : bytes + n, into ? bytes + n : s->image.bytes + at,
               end - at);
        n += end - at;
        at = end + (i < s->count ? s->extents[i].size : 0);
    }
    return n;
}

static size_t lay_out_in_child(void *argument, void *result, size_t capacity)
{
    const struct layout_job *j = argument;
    struct layout *l = result;
    size_t *offsets = (size_t *)(l + 1);
    if ((l->failed = lay_out(j->s, j->c, j->path, &l->err)))
        return sizeof *l;
    l->size = j->s->image.size;
    l->table_offset = j->s->table_offset;
    for (size_t i = 0; i < j->s->count; i++)
        offsets[i] = j->s->extents[i].offset;
    const size_t fixed = sizeof *l + j->s->count * sizeof *offsets;
    const size_t around =
        copy_around(j->s, (unsigned char *)result + fixed, capacity - fixed, false);
    if (around != SIZE_MAX)
        return fixed + around;
    l->failed = fail(
        &l->err,
        "%s: its names, configuration and tokenizer take more than the %zu bytes meant for them",
        j->path, capacity);
    return sizeof *l;
}

/* The image that the child made, but for the tensors. */
static int take_layout(struct snapshot *s, const struct sandbox_result *r, const char *path,
                       struct error *err)
{
    const struct layout *l = r->bytes;
    const size_t *offsets = (const size_t *)(l + 1), fixed = sizeof *l + s->count * sizeof *offsets;
    if (l->failed)
        return fail(err, "%s", l->err.text);
    for (size_t i = 0; i < s->count; i++)
        s->extents[i].offset = offsets[i];
    s->table_offset = l->table_offset;
    s->image.size = l->size;
    if (check_places(s, path, err) || h5_image_reserve(&s->image, l->size, path, err))
        return -1;
    if (r->size < fixed ||
        copy_around(s, (unsigned char *)r->bytes + fixed, r->size - fixed, true) == SIZE_MAX)
        return fail(err, "%s: laying it out gave fewer bytes than it has", path);
    return 0;
}

/* Lists the tensors, without their places, and makes the table of checksums without its checksums. */
static int list_tensors(struct snapshot *s, const struct checkpoint *c, const char *path,
                        struct error *err)
{
    static const char NO_CRC[] = "00000000";
    const float *arrays[4];
    const char *groups[4];
    const size_t n = checkpoint_arrays(c, arrays, groups);
    size_t size = 0, at = 0;
    for (size_t g = 0; g < n; g++)
        for (size_t i = 0; i < c->tensors->count; i++)
            size += (size_t)snprintf(NULL, 0, "%s  %s/%s\n", NO_CRC, groups[g],
                                     c->tensors->list[i].name);
    s->extents = calloc(n * c->tensors->count, sizeof *s->extents);
    s->table = malloc(size + 1);
    if (!s->extents || !s->table)
        return fail(err, "%s: out of memory", path);
    s->table_size = size;
    for (size_t g = 0; g < n; g++)
        for (size_t i = 0; i < c->tensors->count; i++) {
            const struct tensor *t = &c->tensors->list[i];
            s->extents[s->count++] =
                (struct extent){.size = tensor_file_size(t) * sizeof *arrays[g],
                                .from = arrays[g] + t->offset,
                                .line = s->table + at};
            at += (size_t)sprintf(s->table + at, "%s  %s/%s\n", NO_CRC, groups[g], t->name);
        }
    return 0;
}

/* Strings and tokenizers are small; memory that is not written to is not taken. */
static size_t room_around(const struct checkpoint *c, const struct snapshot *s)
{
    const size_t symbols = c->tokenizer ? c->tokenizer->vocab_size : 0;
    return sizeof(struct layout) + s->count * sizeof(size_t) + checkpoint_metadata_size(c) +
           64 * symbols + ((size_t)16 << 20);
}

int checkpoint_lay_out(struct snapshot *s, const struct checkpoint *c, const char *path,
                       struct error *err)
{
    struct layout_job job = {s, c, path};
    struct sandbox_result result;
    snapshot_clear(s);
    s->step = c->state.step;
    s->image.user_block = USER_BLOCK;
    if (checkpoint_check(c, path, err) || list_tensors(s, c, path, err) ||
        h5_image_reserve(&s->image, checkpoint_size(c), path, err))
        return -1;
    int status = h5_sandbox_run(&result, lay_out_in_child, &job, room_around(c, s), "laying it out",
                                path, err);
    if (status == 0)
        status = take_layout(s, &result, path, err);
    else if (status == SANDBOX_NO_CHILD) /* a save matters more than where it is made */
        status = lay_out(s, c, path, err);
    sandbox_free(&result);
    return status;
}
