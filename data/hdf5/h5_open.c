/* h5_open.c: opens a file for h5_read.h, and checks the index that the sandboxed process sends. */
#include "base/input_file.h"
#include "base/minmax.h"
#include "data/hdf5/h5.h"
#include "data/hdf5/h5_read.h"
#include "data/hdf5/h5_reader.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- the index --- */

/* Each filter occurs at most once. The chunks cover the dataset, are within the file, and together
 * no larger. No two datasets share a chunk's entry, so all checks take time linear in the index. */
static bool check_chunks(struct h5_reader *r, const struct h5_entry *e, uint64_t n)
{
    unsigned seen = 0;
    if (e->ndim != 1 || e->chunk == 0 || e->chunk > H5_MAX_CHUNK || e->n_filters > H5_MAX_FILTERS ||
        e->size != ceil_div(n, e->chunk) || !h5_is_range(e->offset, e->size, r->n_chunks) ||
        e->size > r->unclaimed_chunks)
        return false;
    r->unclaimed_chunks -= e->size;
    for (uint32_t i = 0; i < e->n_filters; i++) {
        if (e->filters[i] < FILTER_DEFLATE || e->filters[i] >= FILTERS ||
            seen & 1u << e->filters[i])
            return false;
        seen |= 1u << e->filters[i];
    }
    uint64_t total = 0;
    for (uint64_t k = 0; k < e->size; k++) {
        const struct h5_chunk *c = &r->chunks[e->offset + k];
        if (c->size == 0 || c->size > 16 * H5_MAX_CHUNK ||
            !h5_is_range(c->offset, c->size, r->size))
            return false;
        total += c->size;
    }
    return total <= r->size;
}

static bool check_dataset(struct h5_reader *r, const struct h5_entry *e)
{
    uint64_t n, bytes;
    if (e->ndim > H5_MAX_DIMS || e->layout >= LAYOUTS || e->type > TYPE_F64 ||
        !h5_count_elements(e, &n) || __builtin_mul_overflow(n, 8, &bytes))
        return false;
    if (e->layout == LAYOUT_CONTIGUOUS)
        return h5_is_range(e->offset, e->size, r->size);
    return e->layout != LAYOUT_CHUNKED || (h5_type_width(e->type) && check_chunks(r, e, n));
}

static bool check_entry(struct h5_reader *r, const struct h5_entry *e)
{
    /* The whole text ends with a terminator, so every string in it does too. */
    if (e->kind >= N_KINDS || e->type >= TYPES || e->name >= r->n_text)
        return false;
    if (e->kind == KIND_ATTRIBUTE && e->type == TYPE_STRING)
        return e->offset < r->n_text;
    return e->kind != KIND_DATASET || check_dataset(r, e);
}

/* Sets the reader's pointers into the index, and checks everything in it that is later used as an
 * array index, a size or a string. */
static int take_index(struct h5_reader *r, struct error *err)
{
    const struct h5_index *index = r->index.bytes;
    size_t size = r->index.size;
    if (size < sizeof *index || !memchr(index->error, '\0', sizeof index->error))
        return fail(err, "%s: damaged or malicious", r->file);
    if (index->error[0])
        return fail(err, "%s: %s", r->file, index->error);
    r->n_entries = index->n_entries;
    r->n_chunks = r->unclaimed_chunks = index->n_chunks;
    r->n_text = index->n_text;
    size -= sizeof *index;
    if (r->n_entries > size / sizeof *r->entries ||
        r->n_chunks > (size -= r->n_entries * sizeof *r->entries) / sizeof *r->chunks ||
        r->n_text > (size -= r->n_chunks * sizeof *r->chunks))
        return fail(err, "%s: damaged or malicious", r->file);
    r->entries = (const struct h5_entry *)(index + 1);
    r->chunks = (const struct h5_chunk *)(r->entries + r->n_entries);
    r->text = (const char *)(r->chunks + r->n_chunks);
    bool valid = r->n_entries > 0 && r->entries[0].kind == KIND_GROUP && r->n_text > 0 &&
                 !r->text[r->n_text - 1];
    for (uint64_t i = 0; i < r->n_entries && valid; i++)
        valid = check_entry(r, &r->entries[i]);
    return valid ? 0 : fail(err, "%s: damaged: its contents are inconsistent", r->file);
}

/* --- opening --- */

/* Whether a program had the file open for writing and has not closed it: the file consistency
 * flags of superblock version 3 (HDF5 File Format Specification 3.0, section II.A). */
static bool left_open(const unsigned char *bytes, uint64_t size)
{
    enum { VERSION = 8, FLAGS = 11, WRITE_ACCESS = 1, SWMR = 4 };
    return size > FLAGS && !memcmp(bytes, H5_SIGNATURE, 8) && bytes[VERSION] == 3 &&
           bytes[FLAGS] & (WRITE_ACCESS | SWMR);
}

static int scan(struct h5_reader *r, const void *bytes, struct error *err)
{
    return h5_sandbox_run(&r->index, h5_scan, &(struct h5_scan){bytes, r->size}, H5_INDEX_MAX,
                          "damaged or malicious: reading it", r->file, err) ||
           take_index(r, err);
}

/* Only the child accesses the mapping: if the file is truncated meanwhile, only the child
 * crashes. */
static int scan_file(struct h5_reader *r, struct error *err)
{
    if (r->size == 0)
        return fail(err, "%s: not an HDF5 file: it is empty", r->file);
    void *map = mmap(NULL, r->size, PROT_READ, MAP_PRIVATE, r->fd, 0);
    if (map == MAP_FAILED)
        return fail(err, "%s: cannot be mapped: out of memory", r->file);
    int status = scan(r, map, err);
    if (status && left_open(map, r->size))
        status = fail(err,
                      "%s: was left open by a program that writes it, and may be incomplete; if "
                      "none does, h5clear -s makes it readable",
                      r->file);
    munmap(map, r->size);
    return status;
}

/* Opens bytes in memory, or if fd >= 0, that file, which the reader then owns. */
static struct h5_reader *open_reader(const void *bytes, uint64_t size, int fd, const char *file,
                                     struct error *err)
{
    struct h5_reader *r = calloc(1, sizeof *r + strlen(file) + 1);
    if (!r) {
        if (fd >= 0)
            close(fd);
        return fail_null(err, "%s: out of memory", file);
    }
    r->bytes = bytes;
    r->size = size;
    r->fd = fd;
    strcpy(r->file, file);
    if ((fd < 0 ? scan(r, bytes, err) : scan_file(r, err)) == 0)
        return r;
    h5_close(r);
    return NULL;
}

struct h5_reader *h5_open_bytes(const void *bytes, size_t size, const char *file, struct error *err)
{
    return open_reader(bytes, size, -1, file, err);
}

struct h5_reader *h5_open(const char *path, struct error *err)
{
    uint64_t size;
    const int fd = input_file_open(path, NO_LINKS, &size, err);
    return fd < 0 ? NULL : open_reader(NULL, size, fd, path, err);
}

bool h5_is(const char *path)
{
    char bytes[520] = "";
    uint64_t size;
    const int fd = input_file_open(path, FOLLOW_LINKS, &size, NULL);
    if (fd < 0)
        return false;
    const bool is =
        input_file_read(fd, 0, bytes, size_min(size, sizeof bytes), path, NULL) == 0 &&
        (memcmp(bytes, H5_SIGNATURE, 8) == 0 || memcmp(bytes + 512, H5_SIGNATURE, 8) == 0);
    close(fd);
    return is;
}

void h5_close(struct h5_reader *r)
{
    if (!r)
        return;
    sandbox_free(&r->index);
    if (r->fd >= 0)
        close(r->fd);
    free(r);
}
