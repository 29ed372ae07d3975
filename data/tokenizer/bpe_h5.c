/* bpe_h5.c: a byte-pair encoding in a tokenizer's group: attributes pattern, n_merges and
 * whole_words; datasets token_bytes (concatenated), token_ends, token_kinds (enum bpe_kind) and
 * merges (left, right, result; in order of rank). */
#include "data/hdf5/h5.h"
#include "data/tokenizer/bpe_files.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 16 };
_Static_assert(sizeof(struct merge) == 3 * sizeof(uint32_t), "merges are stored as they are");

void bpe_digest(const struct bpe *b, struct digest *d)
{
    const struct bpe_model *m = &b->model;
    digest_update_string(d, m->regex);
    digest_update_u32(d, m->whole_words);
    digest_update_u32(d, (uint32_t)m->vocab_size);
    digest_update(d, m->bytes, m->ends[m->vocab_size - 1]);
    for (size_t i = 0; i < m->vocab_size; i++)
        digest_update_u32(d, m->ends[i]);
    digest_update(d, m->kinds, m->vocab_size);
    for (size_t i = 0; i < m->n_merges; i++) {
        digest_update_u32(d, m->merges[i].left);
        digest_update_u32(d, m->merges[i].right);
        digest_update_u32(d, m->merges[i].result);
    }
}

int bpe_write(const struct bpe *b, hid_t group, const char *file, struct error *err)
{
    const struct bpe_model *m = &b->model;
    const struct {
        const char *name;
        enum h5_type type;
        size_t n;
        const void *data;
    } arrays[] = {{"token_bytes", TYPE_U8, m->ends[m->vocab_size - 1], m->bytes},
                  {"token_ends", TYPE_U32, m->vocab_size, m->ends},
                  {"token_kinds", TYPE_U8, m->vocab_size, m->kinds},
                  {"merges", TYPE_U32, 3 * m->n_merges, m->merges}};
    if (h5_write_string(group, "pattern", m->regex, file, err) ||
        h5_write_u64(group, "n_merges", m->n_merges, file, err) ||
        h5_write_u64(group, "whole_words", m->whole_words, file, err))
        return -1;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (arrays[i].n && h5_write_array(group, arrays[i].name, arrays[i].type, arrays[i].n, CHUNK,
                                          arrays[i].data, file, err))
            return -1;
    return 0;
}

static int read_model(struct bpe_model *m, struct h5_node group, uint64_t vocab_size,
                      struct error *err)
{
    const char *file = h5_file_name(group);
    uint64_t n_merges, whole_words;
    if (h5_read_string(group, "pattern", &m->regex, err) ||
        h5_read_u64(group, "n_merges", &n_merges, err) ||
        h5_read_u64(group, "whole_words", &whole_words, err))
        return -1;
    if (vocab_size == 0 || vocab_size > BPE_MAX_VOCAB || n_merges > UINT32_MAX / 3 ||
        whole_words > 1)
        return fail(err,
                    "%s: vocab_size %" PRIu64 ", n_merges %" PRIu64 ", whole_words %" PRIu64
                    ": out of range",
                    file, vocab_size, n_merges, whole_words);
    m->whole_words = whole_words;
    if (!(m->ends = h5_read_array(group, "token_ends", TYPE_U32, vocab_size, err)) ||
        !(m->kinds = h5_read_array(group, "token_kinds", TYPE_U8, vocab_size, err)))
        return -1;
    for (uint64_t i = 1; i < vocab_size; i++)
        if (m->ends[i] < m->ends[i - 1])
            return fail(err, "%s: /token_ends: element %" PRIu64 " is less than the previous one",
                        file, i);
    m->vocab_size = vocab_size;
    m->n_merges = n_merges;
    return !(m->bytes =
                 h5_read_array(group, "token_bytes", TYPE_U8, m->ends[vocab_size - 1], err)) ||
                   (n_merges &&
                    !(m->merges = h5_read_array(group, "merges", TYPE_U32, 3 * n_merges, err)))
               ? -1
               : 0;
}

struct bpe *bpe_read(struct h5_node group, uint64_t vocab_size, struct error *err)
{
    struct bpe_model model = {0};
    struct bpe *b = NULL;
    if (read_model(&model, group, vocab_size, err) == 0 && !(b = bpe_create(&model, err)))
        fail(err, "%s: %s", h5_file_name(group), err->text);
    bpe_model_free(&model);
    return b;
}
