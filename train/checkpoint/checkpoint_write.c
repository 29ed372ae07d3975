/* checkpoint_write.c: lays out the file of a checkpoint in memory with HDF5, without the data of
 * the tensors (snapshot.h). HDF5 only allocates their space: our own code copies or writes them, so
 * that a save without a copy needs little memory and one with a copy runs at memory speed.
 *
 * libhdf5 may crash if malloc fails, so it runs in a child process (data/hdf5/sandbox.h). The child
 * returns the offsets of the tensors and the bytes between them. If it crashes, the save fails, is
 * reported and retried, and the run continues. */
#include "data/hdf5/h5.h"
#include "data/hdf5/sandbox.h"
#include "train/checkpoint/checkpoint_parts.h"
#include "train/checkpoint/image.h"
#include "train/checkpoint/snapshot.h"

#include <stdlib.h>
#include <string.h>

/* --- contents --- */

enum { GROUPS_MAX = 4 };

struct tensor_group {
    const char *name;
    const float *array;
};

/* The groups of tensors to write, in the order of the file. Returns how many there are. */
static size_t list_groups(const struct checkpoint *c, struct tensor_group groups[GROUPS_MAX])
{
    const struct tensor_group all[GROUPS_MAX] = {
        {"params", c->params}, {"adamw/m", c->m}, {"adamw/v", c->v}, {"grads", c->grads}};
    size_t n = 0;
    for (size_t i = 0; i < GROUPS_MAX; i++)
        if (all[i].array)
            groups[n++] = all[i];
    return n;
}

/* HDF5's own data: about 440 bytes per tensor, for its object header and link. */
static size_t metadata_size(const struct checkpoint *c)
{
    struct tensor_group groups[GROUPS_MAX];
    return list_groups(c, groups) * 480 * c->tensors->count + (16 << 10);
}

size_t checkpoint_size(const struct checkpoint *c)
{
    struct tensor_group groups[GROUPS_MAX];
    return list_groups(c, groups) * (4 * c->tensors->n_parameters + 80 * c->tensors->count) +
           metadata_size(c) + 4 * checkpoint_symbols(c) + ((size_t)1 << 20);
}

/* What a layout needs. */
struct job {
    struct snapshot *s;
    const struct checkpoint *c;
    const char *path;
    struct error *err;
};

/* Refuses to write what a reader would reject. */
static int check(const struct job *j)
{
    const struct checkpoint *c = j->c;
    struct model_config model;
    if (c->state.micro && !c->grads)
        return fail(j->err, "%s: a step is in progress, but there are no gradients to save",
                    j->path);
    return config_check(&c->config, j->path, j->err) ||
           config_model(&c->config, checkpoint_symbols(c), &model, j->path, j->err) ||
           checkpoint_fits(c, &model, j->path, j->err);
}

/* Lists the extents, with all but their offsets. */
static int list_extents(const struct job *j)
{
    struct snapshot *s = j->s;
    const struct checkpoint *c = j->c;
    char line[CRC_LINE_MAX];
    struct tensor_group groups[GROUPS_MAX];
    const size_t n = list_groups(c, groups);
    s->extents = calloc(n * c->tensors->count, sizeof *s->extents);
    if (!s->extents)
        return fail(j->err, "%s: out of memory", j->path);
    for (size_t g = 0; g < n; g++)
        for (size_t i = 0; i < c->tensors->count; i++) {
            const struct tensor *t = &c->tensors->list[i];
            s->extents[s->count++] =
                (struct extent){.size = tensor_file_size(t) * sizeof *groups[g].array,
                                .from = groups[g].array + t->offset,
                                .group = groups[g].name,
                                .name = t->name};
            s->table_size += crc_line(line, 0, groups[g].name, t->name);
        }
    return 0;
}

/* --- through HDF5 --- */

/* Creates a group without times, so that equal contents give equal bytes. */
static hid_t create_group(const struct job *j, hid_t parent, const char *name)
{
    const hid_t create = H5Pcreate(H5P_GROUP_CREATE);
    hid_t group = -1;
    if (H5Pset_obj_track_times(create, false) < 0 ||
        (group = H5Gcreate2(parent, name, H5P_DEFAULT, create, H5P_DEFAULT)) < 0)
        h5_fail(j->err, j->path, name);
    H5Pclose(create);
    return group;
}

/* Creates a contiguous dataset whose space is allocated but not written. */
static int allocate_dataset(const struct job *j, hid_t group, const char *name, hid_t type,
                            int ndim, const hsize_t *dims, size_t *offset)
{
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(ndim, dims, NULL);
    hid_t dataset;
    haddr_t address = HADDR_UNDEF;
    int status = 0;
    if (H5Pset_layout(create, H5D_CONTIGUOUS) < 0 ||
        H5Pset_alloc_time(create, H5D_ALLOC_TIME_EARLY) < 0 ||
        H5Pset_fill_time(create, H5D_FILL_TIME_NEVER) < 0 ||
        H5Pset_obj_track_times(create, false) < 0 ||
        (dataset = H5Dcreate2(group, name, type, space, H5P_DEFAULT, create, H5P_DEFAULT)) < 0 ||
        (address = H5Dget_offset(dataset)) == HADDR_UNDEF || H5Dclose(dataset) < 0)
        status = h5_fail(j->err, j->path, name);
    *offset = (size_t)address;
    H5Sclose(space);
    H5Pclose(create);
    return status;
}

static int write_attributes(const struct job *j, hid_t file)
{
    const struct checkpoint *c = j->c;
    char *config = config_text(&c->config), recent[LOSS_WINDOW_TEXT];
    const char *const strings[][2] = {{"format", CHECKPOINT_FORMAT},
                                      {"config", config},
                                      {"data_fingerprint", c->data_fingerprint},
                                      {"recent_losses", loss_window_text(&c->state.recent, recent)},
                                      {"val_measure", c->state.val_measure}};
    int status = config ? 0 : fail(j->err, "%s: out of memory", j->path);
    for (size_t i = 0; i < sizeof strings / sizeof *strings && !status; i++)
        status = h5_write_string(file, strings[i][0], strings[i][1], j->path, j->err);
    for (size_t i = 0; i < state_field_count && !status; i++) {
        const struct state_field *f = &state_fields[i];
        const void *value = (const char *)&c->state + f->offset;
        status = f->is_float
                     ? h5_write_f64(file, f->name, *(const double *)value, j->path, j->err)
                     : h5_write_u64(file, f->name, *(const uint64_t *)value, j->path, j->err);
    }
    free(config);
    return status;
}

static int write_tokenizer(const struct job *j, hid_t file)
{
    if (!j->c->tokenizer)
        return 0;
    const hid_t group = create_group(j, file, "tokenizer");
    if (group < 0)
        return -1;
    const int status = tokenizer_write(j->c->tokenizer, group, j->path, j->err);
    H5Gclose(group);
    return status;
}

/* Creates a group of tensors as float32 and sets the offsets of their extents. Padded rows are the
 * last in memory and are not part of the file. */
static int lay_out_group(const struct job *j, hid_t file, struct extent *extents)
{
    const struct tensors *t = j->c->tensors;
    const hid_t group = create_group(j, file, extents->group);
    int status = group < 0;
    for (size_t i = 0; i < t->count && !status; i++) {
        const struct tensor *x = &t->list[i];
        status = allocate_dataset(j, group, x->name, H5T_IEEE_F32LE, x->ndim,
                                  (hsize_t[]){x->shape[0], x->shape[1]}, &extents[i].offset);
    }
    if (group >= 0)
        H5Gclose(group);
    return status;
}

static int lay_out_tensors(const struct job *j, hid_t file)
{
    struct snapshot *s = j->s;
    hid_t adamw = -1;
    int status = 0;
    for (size_t i = 0; i < s->count && !status; i += j->c->tensors->count) {
        if (adamw < 0 && strchr(s->extents[i].group, '/'))
            status = (adamw = create_group(j, file, "adamw")) < 0;
        status = status || lay_out_group(j, file, s->extents + i);
    }
    if (adamw >= 0)
        H5Gclose(adamw);
    return status;
}

/* Zeroes what HDF5 did not write: a reused buffer still contains the previous file. */
static void clear_gaps(struct snapshot *s)
{
    for (size_t i = 0; i <= s->count; i++) {
        const struct range gap = snapshot_gap(s, i);
        const size_t end = gap.offset + gap.size,
                     begin = gap.offset > s->image.written ? gap.offset : s->image.written;
        if (end > begin)
            memset(s->image.bytes + begin, 0, end - begin);
    }
}

/* Checks that the extents are in order, do not overlap, and are within the file. */
static int check_offsets(const struct job *j)
{
    const struct snapshot *s = j->s;
    size_t end = USER_BLOCK;
    for (size_t i = 0; i < s->count; i++) {
        const struct extent *e = &s->extents[i];
        if (e->offset < end || e->offset > s->image.size || e->size > s->image.size - e->offset)
            return fail(j->err,
                        "%s: the HDF5 library did not place the tensors one after the other",
                        j->path);
        end = e->offset + e->size;
    }
    return s->table_offset < s->image.size && s->table_size <= s->image.size - s->table_offset
               ? 0
               : fail(j->err, "%s: the HDF5 library placed the checksums outside the file",
                      j->path);
}

static int lay_out(const struct job *j)
{
    struct snapshot *s = j->s;
    if (h5_image_create_sized(&s->image, metadata_size(j->c), j->path, j->err))
        return -1;
    const hid_t file = s->image.file;
    h5_lock();
    const int status = write_attributes(j, file) || write_tokenizer(j, file) ||
                       allocate_dataset(j, file, "crc32", H5T_STD_U8LE, 1,
                                        (hsize_t[]){s->table_size}, &s->table_offset) ||
                       lay_out_tensors(j, file);
    h5_unlock();
    if (status || h5_image_finish(&s->image, j->path, j->err) || check_offsets(j))
        return -1;
    clear_gaps(s);
    return 0;
}

/* --- in a child process --- */

/* The child's result, followed by the bytes of the gaps. */
struct layout {
    int failed;
    struct error err;
    size_t size, table_offset;
    size_t offsets[]; /* of the extents */
};

static size_t layout_size(const struct snapshot *s)
{
    return sizeof(struct layout) + s->count * sizeof(size_t);
}

/* Copies the gaps from the image to bytes, or back. Returns their size, or SIZE_MAX if it exceeds
 * the capacity. */
static size_t copy_gaps(const struct snapshot *s, unsigned char *bytes, size_t capacity,
                        bool to_image)
{
    size_t n = 0;
    for (size_t i = 0; i <= s->count; i++) {
        const struct range gap = snapshot_gap(s, i);
        unsigned char *in_image = s->image.bytes + gap.offset;
        if (gap.size > capacity - n)
            return SIZE_MAX;
        memcpy(to_image ? in_image : bytes + n, to_image ? bytes + n : in_image, gap.size);
        n += gap.size;
    }
    return n;
}

static size_t lay_out_in_child(void *argument, void *result, size_t capacity)
{
    struct layout *l = result;
    struct job j = *(struct job *)argument;
    j.err = &l->err;
    if ((l->failed = lay_out(&j)))
        return sizeof *l;
    l->size = j.s->image.size;
    l->table_offset = j.s->table_offset;
    for (size_t i = 0; i < j.s->count; i++)
        l->offsets[i] = j.s->extents[i].offset;
    const size_t fixed = layout_size(j.s);
    const size_t gaps = copy_gaps(j.s, (unsigned char *)l + fixed, capacity - fixed, false);
    if (gaps != SIZE_MAX)
        return fixed + gaps;
    l->failed = fail(&l->err,
                     "%s: its names, configuration and tokenizer exceed the %zu bytes reserved for "
                     "them",
                     j.path, capacity);
    return sizeof *l;
}

/* Rebuilds the child's image, without the tensors. */
static int take_layout(const struct job *j, const struct sandbox_result *r)
{
    struct snapshot *s = j->s;
    const struct layout *l = r->bytes;
    const size_t fixed = layout_size(s);
    if (l->failed)
        return fail(j->err, "%s", l->err.text);
    for (size_t i = 0; i < s->count; i++)
        s->extents[i].offset = l->offsets[i];
    s->table_offset = l->table_offset;
    s->image.size = l->size;
    if (check_offsets(j) || h5_image_reserve(&s->image, l->size, j->path, j->err))
        return -1;
    if (r->size < fixed ||
        copy_gaps(s, (unsigned char *)r->bytes + fixed, r->size - fixed, true) == SIZE_MAX)
        return fail(j->err, "%s: the child process returned too few bytes", j->path);
    return 0;
}

int snapshot_lay_out(struct snapshot *s, const struct checkpoint *c, const char *path,
                     struct error *err)
{
    struct job job = {s, c, path, err};
    struct sandbox_result result;
    snapshot_clear(s);
    s->step = c->state.step;
    s->image.user_block = USER_BLOCK;
    if (check(&job) || list_extents(&job) ||
        h5_image_reserve(&s->image, checkpoint_size(c), path, err))
        return -1;
    /* Generous: the strings and the tokenizer are small, and memory that is not written takes no
     * space. */
    const size_t capacity =
        layout_size(s) + metadata_size(c) + 64 * checkpoint_symbols(c) + ((size_t)16 << 20);
    int status =
        h5_sandbox_run(&result, lay_out_in_child, &job, capacity, "laying it out", path, err);
    if (status == 0)
        status = take_layout(&job, &result);
    else if (status == SANDBOX_NO_CHILD) /* saving is more important than isolation */
        status = lay_out(&job);
    sandbox_free(&result);
    return status;
}

int checkpoint_write(const struct checkpoint *c, const char *path, struct error *err)
{
    struct snapshot s = {.image.file = -1};
    int status = snapshot_lay_out(&s, c, path, err);
    if (!status) {
        snapshot_seal(&s);
        status = snapshot_write(&s, path, err);
    }
    snapshot_clear(&s);
    h5_image_free(&s.image);
    return status;
}
