/* h5_open.c: opens a file for h5_read.h. What the sandboxed process sends of it is checked here, before anything is read by it. */
#include "base/input_file.h"
#include "data/hdf5/h5.h"
#include "data/hdf5/h5_reader.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- the index --- */

/* All of the text ends with a terminator: so does whatever begins in it. */
static bool is_text(const struct h5_reader *r, uint64_t at)
{
    return at < r->n_text;
}

/* Filters each at most once, chunks that cover the dataset and lie in the file, where they cannot all be the same bytes. No two
 * datasets share a chunk's entry: so all checks together take no longer than the index is. */
static bool check_chunks(struct h5_reader *r, const struct h5_entry *e, uint64_t n)
{
    unsigned seen = 0;
    if (e->ndim != 1 || e->chunk == 0 || e->chunk > H5_MAX_CHUNK || e->n_filters > H5_MAX_FILTERS ||
        e->size != n / e->chunk + (n % e->chunk != 0) ||
        !h5_is_range(e->offset, e->size, r->n_chunks) || e->size > r->chunks_left)
        return false;
    r->chunks_left -= e->size;
    for (uint32_t i = 0; i < e->n_filters; i++) {
        if (e->filters[i] >= FILTERS || seen & 1u << e->filters[i])
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

/* A group's members stand behind it, so that walking down ends. */
static bool check_entry(struct h5_reader *r, uint64_t i)
{
    const struct h5_entry *e = &r->entries[i];
    if (e->kind >= N_KINDS || e->type >= TYPES || !is_text(r, e->name) ||
        !h5_is_range(e->attributes, e->n_attributes, r->n_entries))
        return false;
    if (e->kind == KIND_GROUP)
        return h5_is_range(e->members, e->n_members, r->n_entries) &&
               (e->n_members == 0 || e->members > i);
    if (e->kind == KIND_ATTRIBUTE && e->type == TYPE_STRING)
        return is_text(r, e->offset);
    return e->kind != KIND_DATASET || check_dataset(r, e);
}

/* Everything that is used later as an index, a size or a string. */
static int take_index(struct h5_reader *r, const void *bytes, size_t size, const char *file,
                      struct error *err)
{
    const struct h5_index *index = bytes;
    if (size < sizeof *index || !memchr(index->error, '\0', sizeof index->error))
        return fail(err, "%s: damaged or hostile", file);
    if (index->error[0])
        return fail(err, "%s: %s", file, index->error);
    r->n_entries = index->n_entries;
    r->n_chunks = index->n_chunks;
    r->n_text = index->n_text;
    size -= sizeof *index;
    if (r->n_entries > size / sizeof *r->entries ||
        r->n_chunks > (size -= r->n_entries * sizeof *r->entries) / sizeof *r->chunks ||
        r->n_text > (size -= r->n_chunks * sizeof *r->chunks))
        return fail(err, "%s: damaged or hostile", file);
    r->entries = (const struct h5_entry *)(index + 1);
    r->chunks = (const struct h5_chunk *)(r->entries + r->n_entries);
    r->text = (const char *)(r->chunks + r->n_chunks);
    bool good = r->n_entries > 0 && r->entries[0].kind == KIND_GROUP && r->n_text > 0 &&
                !r->text[r->n_text - 1];
    r->chunks_left = r->n_chunks;
    for (uint64_t i = 0; i < r->n_entries && good; i++)
        good = check_entry(r, i);
    return good ? 0 : fail(err, "%s: damaged: what it holds contradicts itself", file);
}

/* --- opening --- */

/* In the child: another thread of the parent may have held the lock when it was copied. */
static size_t scan_in_child(void *scan, void *index, size_t capacity)
{
    h5_lock_renew();
    return h5_scan(scan, index, capacity);
}

static int scan(struct h5_reader *r, const void *bytes, const char *file, struct error *err)
{
    struct h5_scan s = {bytes, r->size};
    h5_lock_others_out(); /* so that the library is in no other thread's hands when it is copied */
    const int status = sandbox_run(&r->index, scan_in_child, &s, H5_INDEX_MAX,
                                   "damaged or hostile: reading it", file, err);
    h5_unlock();
    return status ? -1 : take_index(r, r->index.bytes, r->index.size, file, err);
}

static struct h5_reader *new_reader(const void *bytes, uint64_t size, int fd, const char *file,
                                    struct error *err)
{
    struct h5_reader *r = calloc(1, sizeof *r);
    if (!r) {
        fail(err, "%s: out of memory", file);
        return NULL;
    }
    r->bytes = bytes;
    r->size = size;
    r->fd = fd;
    return r;
}

struct h5_reader *h5_open_bytes(const void *bytes, size_t size, const char *file, struct error *err)
{
    struct h5_reader *r = new_reader(bytes, size, -1, file, err);
    if (r && scan(r, bytes, file, err) != 0) {
        h5_close(r);
        r = NULL;
    }
    return r;
}

struct h5_reader *h5_open_index(const void *bytes, size_t size, const void *index,
                                size_t index_size, const char *file, struct error *err)
{
    struct h5_reader *r = new_reader(bytes, size, -1, file, err);
    if (r && take_index(r, index, index_size, file, err) != 0) {
        h5_close(r);
        r = NULL;
    }
    return r;
}

/* The child alone looks at the mapping: a file that is cut meanwhile kills it, and not us. */
static int scan_file(struct h5_reader *r, const char *path, struct error *err)
{
    if (r->size == 0 || r->size > SIZE_MAX)
        return fail(err, "%s: not an HDF5 file: %s", path,
                    r->size ? "larger than memory can be" : "it is empty");
    void *map = mmap(NULL, r->size, PROT_READ, MAP_PRIVATE, r->fd, 0);
    if (map == MAP_FAILED)
        return fail(err, "%s: cannot be mapped: out of memory", path);
    const int status = scan(r, map, path, err);
    munmap(map, r->size);
    return status;
}

struct h5_reader *h5_open(const char *path, struct error *err)
{
    uint64_t size;
    const int fd = input_file_open(path, &size, err);
    if (fd < 0)
        return NULL;
    struct h5_reader *r = new_reader(NULL, size, fd, path, err);
    if (!r)
        close(fd);
    else if (scan_file(r, path, err) != 0) {
        h5_close(r);
        r = NULL;
    }
    return r;
}

bool h5_is(const char *path)
{
    static const char SIGNATURE[8] = "\x89HDF\r\n\x1a\n";
    char bytes[520] = "";
    uint64_t size;
    struct error ignored;
    const int fd = input_file_open_linked(path, &size, &ignored);
    if (fd < 0)
        return false;
    const bool is = input_file_read(fd, 0, bytes, size < sizeof bytes ? size : sizeof bytes, path,
                                    &ignored) == 0 &&
                    (memcmp(bytes, SIGNATURE, 8) == 0 || memcmp(bytes + 512, SIGNATURE, 8) == 0);
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
