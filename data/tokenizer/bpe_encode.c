/* bpe_encode.c: encodes words as tokens.
 *
 * Words recur: a cache of recent words answers nine of ten. The others are merged with a heap of
 * pairs, O(n log n), so that long words (genome data, base64) take no longer per byte.
 */
#include "base/utf8.h"
#include "data/tokenizer/bpe.h"
#include <stdlib.h>
#include <string.h>

enum { CACHE = 1 << 14, CACHED_BYTES = 15, CACHED_TOKENS = 3, NOTHING = UINT32_MAX };

/* A word of up to 15 bytes, with its length in the 16th, and its tokens. n = 0: free. */
struct cached {
    uint64_t key[2];
    uint32_t ids[CACHED_TOKENS], n;
};

/* A possible merge of the symbol at `at` with the next. */
struct candidate {
    uint32_t rank, at;
};

struct bpe_workspace {
    const struct bpe *owner; /* of the cache */
    size_t capacity;         /* of the arrays, in bytes of a word */
    uint32_t *next, *previous, *symbols, *ranks;
    struct candidate *heap;
    size_t n_heap;
    struct cached cache[CACHE];
};

struct bpe_workspace *bpe_workspace_create(struct error *err)
{
    struct bpe_workspace *s = calloc(1, sizeof *s);
    return s ? s : fail_null(err, "out of memory to encode");
}

void bpe_workspace_destroy(struct bpe_workspace *s)
{
    if (!s)
        return;
    free(s->next);
    free(s->heap);
    free(s);
}

/* --- merging --- */

static bool before(struct candidate a, struct candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void push(struct bpe_workspace *s, struct candidate c)
{
    size_t i = s->n_heap++;
    for (; i > 0 && before(c, s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = c;
}

static struct candidate pop(struct bpe_workspace *s)
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

/* The heap holds n - 1 pairs, and two more for each of at most n - 1 merges. */
static bool reserve(struct bpe_workspace *s, size_t n)
{
    if (s->capacity >= n)
        return true;
    free(s->next);
    free(s->heap);
    s->capacity = 0;
    s->next = malloc(4 * n * sizeof *s->next);
    s->heap = malloc(3 * n * sizeof *s->heap);
    if (!s->next || !s->heap)
        return false;
    s->previous = s->next + n;
    s->symbols = s->next + 2 * n;
    s->ranks = s->next + 3 * n;
    s->capacity = n;
    return true;
}

/* Updates the rank of symbol i and the next. */
static void rank_pair(const struct bpe *b, struct bpe_workspace *s, uint32_t i)
{
    const uint32_t j = s->next[i];
    s->ranks[i] = j == NOTHING ? NOTHING : pairmap_find(&b->pairs, s->symbols[i], s->symbols[j]);
    if (s->ranks[i] != NOTHING)
        push(s, (struct candidate){s->ranks[i], i});
}

static size_t merge(const struct bpe *b, struct bpe_workspace *s, const char *word, size_t n,
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
        if (s->ranks[c.at] != c.rank) /* outdated */
            continue;
        const uint32_t gone = s->next[c.at], after = s->next[gone];
        s->symbols[c.at] = b->model.merges[c.rank].result;
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

static size_t encode(const struct bpe *b, struct bpe_workspace *s, const char *word, size_t n,
                     uint32_t *ids)
{
    if (b->model.whole_words) {
        const uint32_t id = bpe_find(b, word, n);
        if (id != BPE_NONE) {
            ids[0] = id;
            return 1;
        }
    }
    return merge(b, s, word, n, ids);
}

size_t bpe_encode_word(const struct bpe *b, struct bpe_workspace *s, const char *word, size_t n,
                       uint32_t *ids)
{
    if (s->owner != b) {
        if (s->owner) /* a new cache is zero and should remain untouched */
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

struct encoding {
    const struct bpe *b;
    struct bpe_workspace *workspace;
    struct matcher *matcher;
    uint32_t *ids;
    size_t n;
};

static int add_word(struct encoding *e, const char *word, size_t n, struct error *err)
{
    const size_t count = bpe_encode_word(e->b, e->workspace, word, n, e->ids + e->n);
    if (count == SIZE_MAX)
        return fail(err, "out of memory for a word of %zu bytes", n);
    e->n += count;
    return 0;
}

/* Adds the words of valid UTF-8. */
static int add_valid(struct encoding *e, const char *text, size_t n, struct error *err)
{
    for (size_t i = 0, end; i < n; i = end)
        if (matcher_next(e->matcher, text, n, i, false, false, &end, err) ||
            add_word(e, text + i, end - i, err))
            return -1;
    return 0;
}

/* Adds the words of any bytes; each run of invalid ones is a word, as in pretokenizer.c. */
static int add_bytes(struct encoding *e, const char *text, size_t n, struct error *err)
{
    for (size_t begin = 0, end; begin < n; begin = end) {
        uint32_t c;
        int length;
        for (end = begin; end < n && (length = utf8_decode(text + end, n - end, &c)) > 0;)
            end += (size_t)length;
        if (add_valid(e, text + begin, end - begin, err))
            return -1;
        for (begin = end; end < n && utf8_decode(text + end, n - end, &c) <= 0; end++)
            ;
        if (add_word(e, text + begin, end - begin, err))
            return -1;
    }
    return 0;
}

/* The special token with the longest name at the beginning of text. */
static uint32_t find_special(const struct bpe *b, const char *text, size_t n, size_t *length)
{
    uint32_t best = BPE_NONE;
    *length = 0;
    for (size_t i = 0; i < b->specials.n; i++) {
        const struct bytemap_entry *e = &b->specials.entries[i];
        if (e->length > *length && e->length <= n &&
            memcmp(text, bytemap_key(&b->specials, e), e->length) == 0) {
            best = (uint32_t)e->value;
            *length = e->length;
        }
    }
    return best;
}

int bpe_encode(const struct bpe *b, const char *text, size_t length, bool special, uint32_t *ids,
               size_t *n, struct error *err)
{
    struct encoding e = {.b = b, .ids = ids};
    int status =
        (e.workspace = bpe_workspace_create(err)) && (e.matcher = matcher_create(b->pattern, err))
            ? 0
            : -1;
    size_t begin = 0;
    for (size_t i = 0, m; special && i < length && status == 0; i += m ? m : 1) {
        const uint32_t id = find_special(b, text + i, length - i, &m);
        if (id == BPE_NONE)
            continue;
        if ((status = add_bytes(&e, text + begin, i - begin, err)) == 0)
            ids[e.n++] = id;
        begin = i + m;
    }
    if (status == 0)
        status = add_bytes(&e, text + begin, length - begin, err);
    matcher_destroy(e.matcher);
    bpe_workspace_destroy(e.workspace);
    *n = e.n;
    return status;
}
