/* bpe.c: models of byte-pair encoding and their tables. */
#include "data/tokenizer/bpe.h"
#include "base/array.h"
#include <stdlib.h>
#include <string.h>

/* --- models --- */

void bpe_model_free(struct bpe_model *m)
{
    free(m->ends);
    free(m->bytes);
    free(m->kinds);
    free(m->merges);
    free(m->regex);
    *m = (struct bpe_model){0};
}

int bpe_add_token(struct bpe_model *m, const char *bytes, size_t length, enum bpe_kind kind,
                  struct error *err)
{
    const size_t n = m->vocab_size, used = n ? m->ends[n - 1] : 0;
    if (n >= BPE_MAX_VOCAB || length > BPE_MAX_TOKEN || used + length > UINT32_MAX)
        return fail(err, "token %zu has %zu bytes: expected at most %d tokens of at most %d bytes",
                    n, length, BPE_MAX_VOCAB, BPE_MAX_TOKEN);
    if (!array_reserve(&m->ends, &m->ends_capacity, n + 1) ||
        !array_reserve(&m->kinds, &m->kinds_capacity, n + 1) ||
        !array_reserve(&m->bytes, &m->bytes_capacity, used + length + 1)) /* not NULL */
        return fail(err, "out of memory for token %zu", n);
    memcpy(m->bytes + used, bytes, length);
    m->ends[n] = (uint32_t)(used + length);
    m->kinds[n] = (uint8_t)kind;
    m->vocab_size++;
    return 0;
}

int bpe_add_merge(struct bpe_model *m, struct merge merge, struct error *err)
{
    if (!array_reserve(&m->merges, &m->merges_capacity, m->n_merges + 1))
        return fail(err, "out of memory for merge %zu", m->n_merges);
    m->merges[m->n_merges++] = merge;
    return 0;
}

/* --- tables --- */

static int index_token(struct bpe *b, uint32_t id, struct error *err)
{
    size_t length;
    const char *bytes = bpe_token(&b->model, id, &length);
    const uint8_t kind = b->model.kinds[id];
    if (kind == BPE_UNUSED && length == 0)
        return 0;
    if (kind > BPE_SPECIAL || length == 0 || length > BPE_MAX_TOKEN)
        return fail(err, "token %u: %zu bytes of kind %d", id, length, kind);
    struct bytemap *map = kind == BPE_SPECIAL ? &b->specials : &b->tokens;
    const size_t before = map->n;
    struct bytemap_entry *e = bytemap_add(map, bytes, length);
    if (!e)
        return fail(err, "out of memory for %zu tokens", b->model.vocab_size);
    if (map->n == before)
        return fail(err, "tokens %u and %u are both \"%.*s\"", (uint32_t)e->value, id, (int)length,
                    bytes);
    e->value = id;
    if (kind == BPE_NORMAL && length == 1)
        b->byte_ids[(uint8_t)bytes[0]] = id;
    return 0;
}

static int index_tokens(struct bpe *b, struct error *err)
{
    const struct bpe_model *m = &b->model;
    size_t others = 0;
    if (m->vocab_size < BPE_BYTES || m->vocab_size > BPE_MAX_VOCAB)
        return fail(err, "%zu tokens: expected 256 to %d", m->vocab_size, BPE_MAX_VOCAB);
    for (size_t i = 0; i < m->vocab_size; i++)
        others += m->kinds[i] != BPE_NORMAL;
    if (others > BPE_MAX_SPECIAL)
        return fail(err, "%zu special or unused ids: expected at most %d", others, BPE_MAX_SPECIAL);
    memset(b->byte_ids, 0xFF, sizeof b->byte_ids);
    for (size_t i = 0; i < m->vocab_size; i++)
        if (index_token(b, (uint32_t)i, err))
            return -1;
    for (size_t i = 0; i < BPE_BYTES; i++)
        if (b->byte_ids[i] == BPE_NONE)
            return fail(err, "byte 0x%02zX has no token: not a byte-level tokenizer, or incomplete",
                        i);
    return 0;
}

static int index_merge(struct bpe *b, size_t rank, struct error *err)
{
    const struct bpe_model *p = &b->model;
    const struct merge m = p->merges[rank];
    if (m.left >= p->vocab_size || m.right >= p->vocab_size || m.result >= p->vocab_size ||
        p->kinds[m.left] != BPE_NORMAL || p->kinds[m.right] != BPE_NORMAL ||
        p->kinds[m.result] != BPE_NORMAL)
        return fail(err, "merge %zu (%u, %u -> %u): not tokens of this vocabulary", rank, m.left,
                    m.right, m.result);
    size_t n, n_left, n_right;
    const char *left = bpe_token(p, m.left, &n_left), *right = bpe_token(p, m.right, &n_right),
               *result = bpe_token(p, m.result, &n);
    if (n != n_left + n_right || memcmp(result, left, n_left) != 0 ||
        memcmp(result + n_left, right, n_right) != 0)
        return fail(err, "merge %zu (%u, %u -> %u): the result is not the concatenation", rank,
                    m.left, m.right, m.result);
    if (rank >= UINT32_MAX || !pairmap_reserve(&b->pairs, rank + 1))
        return fail(err, "out of memory for %zu merges", p->n_merges);
    const uint32_t other = pairmap_find(&b->pairs, m.left, m.right);
    if (other != PAIRMAP_NONE)
        return fail(err, "merges %u and %zu are of the same pair", other, rank);
    pairmap_put(&b->pairs, m.left, m.right, (uint32_t)rank);
    return 0;
}

int bpe_merge(struct bpe *b, struct merge merge, struct error *err)
{
    return bpe_add_merge(&b->model, merge, err) == 0 ? index_merge(b, b->model.n_merges - 1, err)
                                                     : -1;
}

struct bpe *bpe_create(struct bpe_model *model, struct error *err)
{
    struct bpe *b = calloc(1, sizeof *b);
    if (!b) {
        bpe_model_free(model);
        return fail_null(err, "bpe: out of memory");
    }
    b->model = *model;
    *model = (struct bpe_model){0};
    int status = -1;
    if ((b->pattern = pattern_create(b->model.regex ? b->model.regex : "", err)))
        status = pairmap_reserve(&b->pairs, b->model.n_merges) ? index_tokens(b, err)
                                                               : fail(err, "bpe: out of memory");
    for (size_t i = 0; i < b->model.n_merges && status == 0; i++)
        status = index_merge(b, i, err);
    if (status == 0)
        return b;
    bpe_destroy(b);
    return NULL;
}

void bpe_destroy(struct bpe *b)
{
    if (!b)
        return;
    bpe_model_free(&b->model);
    pattern_destroy(b->pattern);
    pairmap_free(&b->pairs);
    bytemap_free(&b->tokens);
    bytemap_free(&b->specials);
    free(b);
}

uint32_t bpe_find(const struct bpe *b, const char *bytes, size_t length)
{
    const struct bytemap_entry *e = bytemap_find(&b->tokens, bytes, length);
    return e ? (uint32_t)e->value : BPE_NONE;
}
