/* bpe_encode.c: the tokens of a word.
 *
 * A text repeats its words: a table of the last ones met answers for nine words of ten. The others are merged: a short word by
 * looking through its pairs for the lowest rank each time, O(n^2) with a tiny constant; a long one (a line of a genome, a picture in
 * base64) with a heap of pairs, O(n log n).
 */
#include "base/utf8.h"
#include "data/tokenizer/bpe_internal.h"
#include <stdlib.h>
#include <string.h>

enum { CACHE = 1 << 14, CACHED_BYTES = 15, CACHED_TOKENS = 3, SHORT = 48, NOTHING = UINT32_MAX };

/* A word of up to 15 bytes, its length in the 16th, and its tokens. n = 0: free. */
struct cached {
    uint64_t key[2];
    uint32_t ids[CACHED_TOKENS], n;
};

struct candidate {
    uint32_t rank, at;
};

struct bpe_scratch {
    const struct bpe *owner; /* of what the cache holds */
    size_t room;             /* bytes of a word that the arrays below are for */
    uint32_t *next, *previous, *symbols, *ranks;
    struct candidate *heap;
    size_t n_heap;
    struct cached cache[CACHE];
};

struct bpe_scratch *bpe_scratch_create(struct error *err)
{
    struct bpe_scratch *s = calloc(1, sizeof *s);
    if (!s)
        fail(err, "out of memory to encode");
    return s;
}

void bpe_scratch_destroy(struct bpe_scratch *s)
{
    if (!s)
        return;
    free(s->next);
    free(s->heap);
    free(s);
}

/* --- short words --- */

/* symbols[0 … n) in place; returns how many are left. */
static size_t merge_short(const struct bpe *b, uint32_t *symbols, size_t n)
{
    uint32_t ranks[SHORT]; /* of the pair that begins at i */
    for (size_t i = 0; i + 1 < n; i++)
        ranks[i] = pairmap_find(&b->pairs, symbols[i], symbols[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (ranks[i] < ranks[best])
                best = i;
        if (ranks[best] == NOTHING)
            break;
        symbols[best] = b->parts.merges[ranks[best]].result;
        n--;
        for (size_t i = best + 1; i < n; i++) {
            symbols[i] = symbols[i + 1];
            ranks[i - 1] = ranks[i];
        }
        if (best + 1 < n)
            ranks[best] = pairmap_find(&b->pairs, symbols[best], symbols[best + 1]);
        if (best > 0)
            ranks[best - 1] = pairmap_find(&b->pairs, symbols[best - 1], symbols[best]);
    }
    return n;
}

/* --- long words --- */

static bool before(struct candidate a, struct candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void push(struct bpe_scratch *s, struct candidate c)
{
    size_t i = s->n_heap++;
    for (; i > 0 && before(c, s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = c;
}

static struct candidate pop(struct bpe_scratch *s)
{
    const struct candidate top = s->heap[0], last = s->heap[--s->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < s->n_heap; i = child) {
        if (child + 1 < s->n_heap && before(s->heap[child + 1], s->heap[child]))
            child++;
        if (!before(s->heap[child], last))
            break;
        s->heap[i] = s->heap[child];
    }
    s->heap[i] = last;
    return top;
}

/* A word of n has n - 1 pairs, and each of at most n - 1 merges makes two more. */
static bool reserve(struct bpe_scratch *s, size_t n)
{
    if (s->room >= n)
        return true;
    free(s->next);
    free(s->heap);
    s->room = 0;
    s->next = malloc(4 * n * sizeof *s->next);
    s->heap = malloc(3 * n * sizeof *s->heap);
    if (!s->next || !s->heap)
        return false;
    s->previous = s->next + n;
    s->symbols = s->next + 2 * n;
    s->ranks = s->next + 3 * n;
    s->room = n;
    return true;
}

/* The pair that begins at symbol i has a new rank. */
static void rank_pair(const struct bpe *b, struct bpe_scratch *s, uint32_t i)
{
    const uint32_t j = s->next[i];
    s->ranks[i] = j == NOTHING ? NOTHING : pairmap_find(&b->pairs, s->symbols[i], s->symbols[j]);
    if (s->ranks[i] != NOTHING)
        push(s, (struct candidate){s->ranks[i], i});
}

static size_t merge_long(const struct bpe *b, struct bpe_scratch *s, const char *word, size_t n,
                         uint32_t *ids)
{
    if (n > BPE_MAX_WORD || !reserve(s, n))
        return SIZE_MAX;
    s->n_heap = 0;
    for (uint32_t i = 0; i < n; i++) {
        s->symbols[i] = b->byte_ids[(uint8_t)word[i]];
        s->next[i] = i + 1 < n ? i + 1 : NOTHING;
        s->previous[i] = i ? i - 1 : NOTHING;
    }
    for (uint32_t i = 0; i < n; i++)
        rank_pair(b, s, i);
    while (s->n_heap > 0) {
        const struct candidate c = pop(s);
        if (s->ranks[c.at] != c.rank) /* merged away, or into something else, meanwhile */
            continue;
        const uint32_t gone = s->next[c.at], after = s->next[gone];
        s->symbols[c.at] = b->parts.merges[c.rank].result;
        s->ranks[gone] = NOTHING;
        s->next[c.at] = after;
        if (after != NOTHING)
            s->previous[after] = c.at;
        rank_pair(b, s, c.at);
        if (s->previous[c.at] != NOTHING)
            rank_pair(b, s, s->previous[c.at]);
    }
    size_t count = 0;
    for (uint32_t i = 0; i != NOTHING; i = s->next[i])
        ids[count++] = s->symbols[i];
    return count;
}

/* --- any word --- */

static size_t encode(const struct bpe *b, struct bpe_scratch *s, const char *word, size_t n,
                     uint32_t *ids)
{
    if (b->parts.whole_words) {
        const uint32_t id = bpe_find(b, word, n);
        if (id != BYTEMAP_NONE) {
            ids[0] = id;
            return 1;
        }
    }
    if (n > SHORT)
        return merge_long(b, s, word, n, ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = b->byte_ids[(uint8_t)word[i]];
    return merge_short(b, ids, n);
}

size_t bpe_encode_word(const struct bpe *b, struct bpe_scratch *s, const char *word, size_t n,
                       uint32_t *ids)
{
    if (s->owner != b) {
        if (s->owner) /* a new one is zero, and of a short text most of it is never touched */
            memset(s->cache, 0, sizeof s->cache);
        s->owner = b;
    }
    if (n > CACHED_BYTES || n == 0)
        return n ? encode(b, s, word, n, ids) : 0;
    char padded[CACHED_BYTES + 1] = {0};
    uint64_t key[2];
    memcpy(padded, word, n);
    padded[CACHED_BYTES] = (char)n;
    memcpy(key, padded, sizeof key);
    const uint64_t hash = (key[0] ^ key[1] * 0xD6E8FEB86659FD93) * 0x9E3779B97F4A7C15;
    struct cached *c = &s->cache[(hash ^ hash >> 29) >> 7 & (CACHE - 1)];
    if (c->n == 0 || c->key[0] != key[0] || c->key[1] != key[1]) {
        const size_t count = encode(b, s, word, n, ids);
        if (count > CACHED_TOKENS)
            return count;
        *c = (struct cached){{key[0], key[1]}, {0}, (uint32_t)count};
        memcpy(c->ids, ids, count * sizeof *ids);
        return count;
    }
    for (size_t i = 0; i < c->n; i++)
        ids[i] = c->ids[i];
    return c->n;
}

/* --- a text in memory --- */

struct single {
    const struct bpe *b;
    struct bpe_scratch *scratch;
    struct matcher *matcher;
    uint32_t *ids;
    size_t n;
};

static int encode_words(struct single *s, const char *text, size_t n, struct error *err)
{
    for (size_t i = 0, end; i < n; i = end) {
        if (matcher_next(s->matcher, text, n, i, false, false, &end, err) != 0)
            return -1;
        const size_t count = bpe_encode_word(s->b, s->scratch, text + i, end - i, s->ids + s->n);
        if (count == SIZE_MAX)
            return fail(err, "out of memory for a word of %zu bytes", end - i);
        s->n += count;
    }
    return 0;
}

/* As words.c has it: a run of bytes that are no UTF-8 is a word. */
static int encode_bytes(struct single *s, const char *text, size_t n, struct error *err)
{
    for (size_t begin = 0, end; begin < n; begin = end) {
        uint32_t c;
        int length = 1;
        for (end = begin; end < n && (length = utf8_decode(text + end, n - end, &c)) > 0;
             end += (size_t)length)
            ;
        if (encode_words(s, text + begin, end - begin, err) != 0)
            return -1;
        for (begin = end; end < n && utf8_decode(text + end, n - end, &c) <= 0; end++)
            ;
        const size_t count =
            bpe_encode_word(s->b, s->scratch, text + begin, end - begin, s->ids + s->n);
        if (count == SIZE_MAX)
            return fail(err, "out of memory for a word of %zu bytes", end - begin);
        s->n += count;
    }
    return 0;
}

/* The longest special token whose name stands at text. */
static uint32_t special_at(const struct bpe *b, const char *text, size_t n, size_t *length)
{
    uint32_t best = BYTEMAP_NONE;
    *length = 0;
    for (uint32_t i = 0; i < b->specials.n; i++) {
        size_t m;
        const char *name = bytemap_key(&b->specials, i, &m);
        if (m > *length && m <= n && memcmp(text, name, m) == 0) {
            best = b->special_ids[i];
            *length = m;
        }
    }
    return best;
}

int bpe_encode(const struct bpe *b, const char *text, size_t length, bool special, uint32_t *ids,
               size_t *n, struct error *err)
{
    struct single s = {.b = b, .ids = ids};
    *n = 0;
    if (!(s.scratch = bpe_scratch_create(err)))
        return -1;
    int status = (s.matcher = matcher_create(b->pattern, err)) ? 0 : -1;
    size_t begin = 0;
    for (size_t i = 0, m; special && i < length && status == 0; i += m ? m : 1) {
        const uint32_t id = special_at(b, text + i, length - i, &m);
        if (id == BYTEMAP_NONE)
            continue;
        if ((status = encode_bytes(&s, text + begin, i - begin, err)) == 0)
            ids[s.n++] = id;
        begin = i + m;
    }
    if (status == 0)
        status = encode_bytes(&s, text + begin, length - begin, err);
    matcher_destroy(s.matcher);
    bpe_scratch_destroy(s.scratch);
    *n = s.n;
    return status;
}
