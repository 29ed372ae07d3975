/* bpe.c: byte-level byte-pair encoding: the tables. */
#include "data/tokenizer/bpe.h"
#include "base/utf8.h"
#include "data/tokenizer/bpe_internal.h"
#include <stdlib.h>
#include <string.h>

/* --- parts --- */

void bpe_parts_free(struct bpe_parts *p)
{
    free(p->ends);
    free(p->bytes);
    free(p->kinds);
    free(p->merges);
    free(p->regex);
    *p = (struct bpe_parts){0};
}

/* Room for one more element behind n; arrays grow at powers of two. */
static void *room_for(void *array, size_t n, size_t element)
{
    if (n && (n & (n - 1)) != 0)
        return array;
    return realloc(array, (n ? 2 * n : 1) * element);
}

int bpe_parts_add(struct bpe_parts *p, const char *bytes, size_t length, enum bpe_kind kind,
                  struct error *err)
{
    const size_t n = p->vocab_size, used = n ? p->ends[n - 1] : 0;
    if (n >= BPE_MAX_VOCAB || length > BPE_MAX_TOKEN || used + length > UINT32_MAX)
        return fail(err, "token %zu of %zu bytes: more than fits (%d ids, %d bytes a token)", n,
                    length, BPE_MAX_VOCAB, BPE_MAX_TOKEN);
    uint32_t *ends = room_for(p->ends, n, sizeof *ends);
    if (ends)
        p->ends = ends;
    uint8_t *kinds = room_for(p->kinds, n, 1);
    if (kinds)
        p->kinds = kinds;
    const size_t room = used + length <= p->room ? p->room : 2 * (used + length) + 64;
    char *all = room == p->room ? p->bytes : realloc(p->bytes, room);
    if (all) {
        p->bytes = all;
        p->room = room;
    }
    if (!ends || !kinds || !all)
        return fail(err, "out of memory for token %zu", n);
    memcpy(p->bytes + used, bytes, length);
    p->ends[n] = (uint32_t)(used + length);
    p->kinds[n] = (uint8_t)kind;
    p->vocab_size++;
    return 0;
}

int bpe_parts_merge(struct bpe_parts *p, struct merge m, struct error *err)
{
    struct merge *merges = room_for(p->merges, p->n_merges, sizeof *merges);
    if (!merges)
        return fail(err, "out of memory for merge %zu", p->n_merges);
    p->merges = merges;
    p->merges[p->n_merges++] = m;
    return 0;
}

/* --- the tables --- */

const char *bpe_token(const struct bpe *b, uint32_t id, size_t *length)
{
    const uint32_t begin = id ? b->parts.ends[id - 1] : 0;
    *length = b->parts.ends[id] - begin;
    return b->parts.bytes + begin;
}

static int add_token(struct bpe *b, uint32_t id, struct error *err)
{
    size_t length;
    const char *bytes = bpe_token(b, id, &length);
    if (b->parts.kinds[id] == BPE_UNUSED && length == 0)
        return 0;
    if (b->parts.kinds[id] > BPE_SPECIAL || length == 0 || length > BPE_MAX_TOKEN)
        return fail(err, "token %u: %zu bytes of kind %d", id, length, b->parts.kinds[id]);
    const bool special = b->parts.kinds[id] == BPE_SPECIAL;
    struct bytemap *map = special ? &b->specials : &b->tokens;
    uint32_t **ids = special ? &b->special_ids : &b->token_ids;
    const size_t before = map->n;
    const uint32_t i = bytemap_add(map, bytes, length);
    if (i == BYTEMAP_NONE)
        return fail(err, "out of memory for the tokens");
    if (map->n == before)
        return fail(err, "tokens %u and %u are both \"%.*s\"", (*ids)[i], id, (int)length, bytes);
    (*ids)[i] = id;
    if (!special && length == 1)
        b->byte_ids[(uint8_t)bytes[0]] = id;
    return 0;
}

static int add_tokens(struct bpe *b, struct error *err)
{
    const struct bpe_parts *p = &b->parts;
    size_t others = 0;
    if (p->vocab_size < BPE_BYTES || p->vocab_size > BPE_MAX_VOCAB)
        return fail(err, "%zu tokens: expected 256 to %d", p->vocab_size, BPE_MAX_VOCAB);
    for (size_t i = 0; i < p->vocab_size; i++)
        others += p->kinds[i] != BPE_NORMAL;
    if (others > BPE_MAX_SPECIAL)
        return fail(err, "%zu ids that no text gives: expected at most %d", others,
                    BPE_MAX_SPECIAL);
    b->token_ids = malloc(p->vocab_size * sizeof *b->token_ids);
    b->special_ids = malloc((others + 1) * sizeof *b->special_ids);
    if (!b->token_ids || !b->special_ids)
        return fail(err, "out of memory for %zu tokens", p->vocab_size);
    memset(b->byte_ids, 0xFF, sizeof b->byte_ids);
    for (size_t i = 0; i < p->vocab_size; i++)
        if (add_token(b, (uint32_t)i, err) != 0)
            return -1;
    for (size_t i = 0; i < BPE_BYTES; i++)
        if (b->byte_ids[i] == BYTEMAP_NONE)
            return fail(
                err,
                "byte 0x%02zX has no token: this is no byte-level tokenizer, or not all of one", i);
    return 0;
}

static int add_merge(struct bpe *b, size_t rank, struct error *err)
{
    const struct bpe_parts *p = &b->parts;
    const struct merge m = p->merges[rank];
    if (m.left >= p->vocab_size || m.right >= p->vocab_size || m.result >= p->vocab_size ||
        p->kinds[m.left] != BPE_NORMAL || p->kinds[m.right] != BPE_NORMAL ||
        p->kinds[m.result] != BPE_NORMAL)
        return fail(err, "merge %zu (%u, %u -> %u): not tokens of this vocabulary", rank, m.left,
                    m.right, m.result);
    size_t n, n_left, n_right;
    const char *left = bpe_token(b, m.left, &n_left), *right = bpe_token(b, m.right, &n_right),
               *result = bpe_token(b, m.result, &n);
    if (n != n_left + n_right || memcmp(result, left, n_left) != 0 ||
        memcmp(result + n_left, right, n_right) != 0)
        return fail(err, "merge %zu (%u, %u -> %u): the result is not the two together", rank,
                    m.left, m.right, m.result);
    struct pairmap_slot *slot = pairmap_slot(&b->pairs, m.left, m.right);
    if (slot->value != PAIRMAP_NONE)
        return fail(err, "merges %u and %zu are of the same pair", slot->value, rank);
    pairmap_put(&b->pairs, m.left, m.right, (uint32_t)rank);
    return 0;
}

struct bpe *bpe_create(struct bpe_parts *parts, struct error *err)
{
    struct bpe *b = calloc(1, sizeof *b);
    if (!b) {
        fail(err, "bpe: out of memory");
        bpe_parts_free(parts);
        return NULL;
    }
    b->parts = *parts;
    *parts = (struct bpe_parts){0};
    int status = -1;
    if (!(b->pattern = pattern_create(b->parts.regex ? b->parts.regex : "", err)) ||
        add_tokens(b, err) != 0)
        goto out;
    if (b->parts.n_merges >= UINT32_MAX || !pairmap_reserve(&b->pairs, b->parts.n_merges)) {
        fail(err, "bpe: out of memory for %zu merges", b->parts.n_merges);
        goto out;
    }
    status = 0;
    for (size_t i = 0; i < b->parts.n_merges && status == 0; i++)
        status = add_merge(b, i, err);
out:
    if (status == 0)
        return b;
    bpe_destroy(b);
    return NULL;
}

void bpe_destroy(struct bpe *b)
{
    if (!b)
        return;
    bpe_parts_free(&b->parts);
    pattern_destroy(b->pattern);
    pairmap_free(&b->pairs);
    bytemap_free(&b->tokens);
    bytemap_free(&b->specials);
    free(b->token_ids);
    free(b->special_ids);
    free(b);
}

const struct bpe_parts *bpe_get_parts(const struct bpe *b)
{
    return &b->parts;
}

const struct pattern *bpe_pattern(const struct bpe *b)
{
    return b->pattern;
}

uint32_t bpe_find(const struct bpe *b, const char *bytes, size_t length)
{
    const uint32_t i = bytemap_find(&b->tokens, bytes, length);
    return i == BYTEMAP_NONE ? i : b->token_ids[i];
}

uint32_t bpe_find_special(const struct bpe *b, const char *name, size_t length)
{
    const uint32_t i = bytemap_find(&b->specials, name, length);
    return i == BYTEMAP_NONE ? i : b->special_ids[i];
}
