/* bpe_h5.c: a byte-pair encoding in a tokenizer's group: attributes pattern, n_merges and whole_words; datasets token_bytes (one
 * behind the other), token_ends, token_kinds (enum bpe_kind) and merges (left, right, result; in the order of their ranks). */
#include "data/hdf5/h5.h"
#include "data/tokenizer/bpe_files.h"
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 16 };

void bpe_digest(const struct bpe *b, struct digest *d)
{
    const struct bpe_parts *p = bpe_get_parts(b);
    digest_update_string(d, p->regex);
    digest_update_u32(d, p->whole_words);
    digest_update_u32(d, (uint32_t)p->vocab_size);
    digest_update(d, p->bytes, p->ends[p->vocab_size - 1]);
    for (size_t i = 0; i < p->vocab_size; i++)
        digest_update_u32(d, p->ends[i]);
    digest_update(d, p->kinds, p->vocab_size);
    for (size_t i = 0; i < p->n_merges; i++) {
        digest_update_u32(d, p->merges[i].left);
        digest_update_u32(d, p->merges[i].right);
        digest_update_u32(d, p->merges[i].result);
    }
}

static int write_array(hid_t group, const char *name, hid_t stored, hid_t memory, size_t n,
                       const void *data, const char *file, struct error *err)
{
    const hid_t dataset =
        h5_dataset_create(group, name, stored, n, n < CHUNK ? n : CHUNK, file, err);
    if (dataset < 0)
        return -1;
    const int status = H5Dwrite(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0
                           ? h5_fail(err, file, name)
                           : 0;
    H5Dclose(dataset);
    return status;
}

int bpe_write(const struct bpe *b, hid_t group, const char *file, struct error *err)
{
    const struct bpe_parts *p = bpe_get_parts(b);
    const hid_t u8 = H5T_STD_U8LE, u32 = H5T_STD_U32LE;
    if (h5_write_string(group, "pattern", p->regex, file, err) != 0 ||
        h5_write_u64(group, "n_merges", p->n_merges, file, err) != 0 ||
        h5_write_u64(group, "whole_words", p->whole_words, file, err) != 0 ||
        write_array(group, "token_bytes", u8, H5T_NATIVE_UINT8, p->ends[p->vocab_size - 1],
                    p->bytes, file, err) != 0 ||
        write_array(group, "token_ends", u32, H5T_NATIVE_UINT32, p->vocab_size, p->ends, file,
                    err) != 0 ||
        write_array(group, "token_kinds", u8, H5T_NATIVE_UINT8, p->vocab_size, p->kinds, file,
                    err) != 0)
        return -1;
    _Static_assert(sizeof(struct merge) == 3 * sizeof(uint32_t), "merges are stored as they are");
    return p->n_merges ? write_array(group, "merges", u32, H5T_NATIVE_UINT32, 3 * p->n_merges,
                                     p->merges, file, err)
                       : 0;
}

/* n elements. */
static void *read_array(struct h5_node group, const char *name, enum h5_type type, uint64_t n,
                        const char *file, struct error *err)
{
    struct h5_node dataset;
    if (h5_find_dataset(group, name, type, UINT32_MAX, &dataset, file, err) != 0)
        return NULL;
    void *data = NULL;
    if (dataset.is->dims[0] != n)
        fail(err, "%s: /%s: %llu elements, expected %llu", file, name,
             (unsigned long long)dataset.is->dims[0], (unsigned long long)n);
    else if (!(data = malloc(n * h5_width(dataset))))
        fail(err, "%s: /%s: out of memory", file, name);
    else if (h5_read(dataset, 0, n, data, file, err) != 0) {
        free(data);
        data = NULL;
    }
    return data;
}

static int read_parts(struct bpe_parts *p, struct h5_node group, uint64_t vocab_size,
                      const char *file, struct error *err)
{
    uint64_t n_merges, whole_words;
    if (h5_read_string(group, "pattern", &p->regex, file, err) != 0 ||
        h5_read_u64(group, "n_merges", &n_merges, file, err) != 0 ||
        h5_read_u64(group, "whole_words", &whole_words, file, err) != 0)
        return -1;
    if (vocab_size == 0 || vocab_size > BPE_MAX_VOCAB || n_merges > UINT32_MAX / 3 ||
        whole_words > 1)
        return fail(err, "%s: vocab_size %llu, n_merges %llu, whole_words %llu: out of range", file,
                    (unsigned long long)vocab_size, (unsigned long long)n_merges,
                    (unsigned long long)whole_words);
    p->whole_words = whole_words;
    if (!(p->ends = read_array(group, "token_ends", TYPE_U32, vocab_size, file, err)) ||
        !(p->kinds = read_array(group, "token_kinds", TYPE_U8, vocab_size, file, err)))
        return -1;
    for (uint64_t i = 1; i < vocab_size; i++)
        if (p->ends[i] < p->ends[i - 1])
            return fail(err, "%s: /token_ends: element %llu is below the one before it", file,
                        (unsigned long long)i);
    p->vocab_size = vocab_size;
    p->n_merges = n_merges;
    if (!(p->bytes = read_array(group, "token_bytes", TYPE_U8, p->ends[vocab_size - 1], file, err)))
        return -1;
    if (n_merges && !(p->merges = read_array(group, "merges", TYPE_U32, 3 * n_merges, file, err)))
        return -1;
    return 0;
}

struct bpe *bpe_read(struct h5_node group, uint64_t vocab_size, const char *file, struct error *err)
{
    struct bpe_parts parts = {0};
    struct error detail;
    struct bpe *b = NULL;
    if (read_parts(&parts, group, vocab_size, file, err) == 0 && !(b = bpe_create(&parts, &detail)))
        fail(err, "%s: %s", file, detail.text);
    bpe_parts_free(&parts);
    return b;
}
