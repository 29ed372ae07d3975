/* bpe_train.c: see bpe_train.h.
 *
 * A merge changes only the words that contain its pair, and in them only the neighbouring pairs. So
 * every pair has a count and a list of words in which it was seen, though it may no longer be
 * there. The best pair comes from a heap whose entries may be out of date: a count only decreases,
 * except during the step that creates the pair's younger token, so an outdated entry is too high,
 * and is corrected when it reaches the top. Memory is a small multiple of the unique words.
 */
#include "data/tokenizer/bpe_train.h"
#include "base/array.h"
#include "base/minmax.h"
#include <stdlib.h>
#include <string.h>

/* --- pairs --- */

struct pair {
    uint32_t left, right;
    uint64_t count;
    uint32_t *words; /* in which it was seen, without consecutive duplicates */
    uint32_t n_words;
};

struct entry {
    uint64_t count;
    uint32_t pair;
};

struct trainer {
    const struct bytemap *words;
    uint32_t *symbols; /* of all words, concatenated */
    uint32_t *lengths; /* of each word, in symbols */
    struct bpe_model model;
    struct pairmap numbers; /* indices of pairs */
    struct pair *pairs;
    size_t n_pairs, pairs_capacity;
    struct entry *heap;
    size_t n_heap, heap_capacity;
};

/* The index of a pair, which is created if it is new. PAIRMAP_NONE if memory is short. */
static uint32_t pair_index(struct trainer *t, uint32_t left, uint32_t right)
{
    const uint32_t known = pairmap_find(&t->numbers, left, right);
    if (known != PAIRMAP_NONE)
        return known;
    if (t->n_pairs + 1 >= UINT32_MAX ||
        !array_reserve(&t->pairs, &t->pairs_capacity, t->n_pairs + 1) ||
        !pairmap_reserve(&t->numbers, t->n_pairs + 1))
        return PAIRMAP_NONE;
    t->pairs[t->n_pairs] = (struct pair){.left = left, .right = right};
    pairmap_put(&t->numbers, left, right, (uint32_t)t->n_pairs);
    return (uint32_t)t->n_pairs++;
}

/* Counts one more occurrence in word w. */
static int count_pair(struct trainer *t, uint32_t left, uint32_t right, uint32_t w)
{
    const uint32_t i = pair_index(t, left, right);
    if (i == PAIRMAP_NONE)
        return -1;
    struct pair *p = &t->pairs[i];
    p->count += t->words->entries[w].value;
    if (p->n_words && p->words[p->n_words - 1] == w)
        return 0;
    const size_t n = p->n_words;
    if ((n & (n - 1)) == 0) { /* grows at powers of two, to save a capacity per pair */
        uint32_t *words = realloc(p->words, (n ? 2 * n : 1) * sizeof *words);
        if (!words)
            return -1;
        p->words = words;
    }
    p->words[p->n_words++] = w;
    return 0;
}

static void uncount_pair(struct trainer *t, uint32_t left, uint32_t right, uint32_t w)
{
    t->pairs[pairmap_find(&t->numbers, left, right)].count -= t->words->entries[w].value;
}

/* --- the heap: highest count first, then the greater pair of byte strings --- */

static int compare_tokens(const struct trainer *t, uint32_t a, uint32_t b)
{
    size_t n_a, n_b;
    const char *x = bpe_token(&t->model, a, &n_a), *y = bpe_token(&t->model, b, &n_b);
    const int order = memcmp(x, y, size_min(n_a, n_b));
    return order ? order : (n_a > n_b) - (n_a < n_b);
}

static bool before(const struct trainer *t, struct entry a, struct entry b)
{
    if (a.count != b.count)
        return a.count > b.count;
    const struct pair *p = &t->pairs[a.pair], *q = &t->pairs[b.pair];
    const int left = p->left == q->left ? 0 : compare_tokens(t, p->left, q->left);
    return left ? left > 0 : compare_tokens(t, p->right, q->right) > 0;
}

static int push(struct trainer *t, uint32_t pair)
{
    if (!array_reserve(&t->heap, &t->heap_capacity, t->n_heap + 1))
        return -1;
    const struct entry e = {t->pairs[pair].count, pair};
    size_t i = t->n_heap++;
    for (; i > 0 && before(t, e, t->heap[(i - 1) / 2]); i = (i - 1) / 2)
        t->heap[i] = t->heap[(i - 1) / 2];
    t->heap[i] = e;
    return 0;
}

static struct entry pop(struct trainer *t)
{
    const struct entry top = t->heap[0], last = t->heap[--t->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < t->n_heap; i = child) {
        if (child + 1 < t->n_heap && before(t, t->heap[child + 1], t->heap[child]))
            child++;
        if (!before(t, t->heap[child], last))
            break;
        t->heap[i] = t->heap[child];
    }
    t->heap[i] = last;
    return top;
}

/* The most frequent pair; PAIRMAP_NONE if no word has two symbols left. */
static uint32_t best_pair(struct trainer *t)
{
    while (t->n_heap > 0) {
        const struct entry e = pop(t);
        const uint64_t count = t->pairs[e.pair].count;
        if (count == e.count && count > 0)
            return e.pair;
        if (count > 0)
            (void)push(t, e.pair); /* pop has freed space for it */
    }
    return PAIRMAP_NONE;
}

/* --- merging --- */

/* Replaces the pair by `result` in word w, from left to right. In x a b y the pairs x a and b y
 * disappear, x result and result y appear. A pair between two adjacent occurrences is counted, then
 * uncounted. */
static int merge_in_word(struct trainer *t, uint32_t left, uint32_t right, uint32_t result,
                         uint32_t w)
{
    uint32_t *s = t->symbols + t->words->entries[w].offset;
    const uint32_t n = t->lengths[w];
    uint32_t out = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i + 1 == n || s[i] != left || s[i + 1] != right) {
            s[out++] = s[i];
            continue;
        }
        if (out > 0) {
            uncount_pair(t, s[out - 1], left, w);
            if (count_pair(t, s[out - 1], result, w) != 0)
                return -1;
        }
        if (i + 2 < n) {
            uncount_pair(t, right, s[i + 2], w);
            if (count_pair(t, result, s[i + 2], w) != 0)
                return -1;
        }
        s[out++] = result;
        i++;
    }
    t->lengths[w] = out;
    return 0;
}

static int add_token(struct trainer *t, const struct pair *p, struct error *err)
{
    char bytes[2 * BPE_MAX_TOKEN];
    size_t n_left, n_right;
    const char *left = bpe_token(&t->model, p->left, &n_left),
               *right = bpe_token(&t->model, p->right, &n_right);
    if (n_left + n_right > BPE_MAX_TOKEN)
        return fail(err, "a token would be longer than %d bytes: one word is repeated too often",
                    BPE_MAX_TOKEN);
    memcpy(bytes, left, n_left);
    memcpy(bytes + n_left, right, n_right);
    const struct merge m = {p->left, p->right, (uint32_t)t->model.vocab_size};
    return bpe_add_token(&t->model, bytes, n_left + n_right, BPE_NORMAL, err) == 0
               ? bpe_add_merge(&t->model, m, err)
               : -1;
}

static int merge_pair(struct trainer *t, uint32_t best, struct error *err)
{
    const struct pair p = t->pairs[best];
    const size_t n_before = t->n_pairs;
    if (add_token(t, &p, err))
        return -1;
    /* Overlaps, as in a a a, uncount the pair itself, so its record is reset again below. */
    t->pairs[best] = (struct pair){.left = p.left, .right = p.right};
    int status = 0;
    for (uint32_t i = 0; i < p.n_words && status == 0; i++)
        status = merge_in_word(t, p.left, p.right, (uint32_t)t->model.vocab_size - 1, p.words[i]);
    free(p.words);
    free(t->pairs[best].words);
    t->pairs[best] = (struct pair){.left = p.left, .right = p.right};
    for (size_t i = n_before; i < t->n_pairs && status == 0; i++)
        status = push(t, (uint32_t)i);
    return status == 0 ? 0 : fail(err, "out of memory for the counts of pairs");
}

/* --- training --- */

/* The bytes as tokens, the words as symbols, and the counts of their pairs. */
static int prepare(struct trainer *t, struct error *err)
{
    const struct bytemap *words = t->words;
    t->symbols = malloc((words->used + 1) * sizeof *t->symbols);
    t->lengths = malloc((words->n + 1) * sizeof *t->lengths);
    if (!t->symbols || !t->lengths || !pairmap_reserve(&t->numbers, 1))
        return fail(err, "out of memory for %zu words", words->n);
    for (int i = 0; i < BPE_BYTES; i++)
        if (bpe_add_token(&t->model, (const char[]){(char)i}, 1, BPE_NORMAL, err))
            return -1;
    for (size_t i = 0; i < words->used; i++)
        t->symbols[i] = (uint8_t)words->bytes[i];
    int status = 0;
    for (uint32_t w = 0; w < words->n; w++) {
        const uint32_t *s = t->symbols + words->entries[w].offset;
        t->lengths[w] = words->entries[w].length;
        for (uint32_t i = 0; i + 1 < t->lengths[w] && status == 0; i++)
            status = count_pair(t, s[i], s[i + 1], w);
    }
    for (size_t i = 0; i < t->n_pairs && status == 0; i++)
        status = push(t, (uint32_t)i);
    return status == 0 ? 0 : fail(err, "out of memory for the counts of pairs");
}

static int learn(struct trainer *t, const struct bpe_plan *plan, struct error *err)
{
    const size_t merges = plan->vocab_size - BPE_BYTES - plan->n_specials;
    while (t->model.n_merges < merges) {
        const uint32_t best = best_pair(t);
        if (best == PAIRMAP_NONE && plan->at_most)
            break;
        if (best == PAIRMAP_NONE)
            return fail(
                err,
                "a vocabulary of %zu: the text gives only %zu (256 bytes, %zu merges, %zu special)",
                plan->vocab_size, t->model.vocab_size + plan->n_specials, t->model.n_merges,
                plan->n_specials);
        if (merge_pair(t, best, err))
            return -1;
        if (plan->progress)
            plan->progress(plan->context, t->model.n_merges);
    }
    for (size_t i = 0; i < plan->n_specials; i++)
        if (bpe_add_token(&t->model, plan->specials[i], strlen(plan->specials[i]), BPE_SPECIAL,
                          err))
            return -1;
    return (t->model.regex = strdup(plan->regex)) ? 0 : fail(err, "out of memory");
}

static void trainer_free(struct trainer *t)
{
    for (size_t i = 0; i < t->n_pairs; i++)
        free(t->pairs[i].words);
    free(t->pairs);
    free(t->heap);
    free(t->symbols);
    free(t->lengths);
    pairmap_free(&t->numbers);
    bpe_model_free(&t->model);
}

struct bpe *bpe_train(const struct bytemap *words, const struct bpe_plan *plan, struct error *err)
{
    if (plan->vocab_size < BPE_BYTES + plan->n_specials || plan->vocab_size > BPE_MAX_VOCAB)
        return fail_null(err, "a vocabulary of %zu: expected %zu (256 bytes, %zu special) to %d",
                         plan->vocab_size, BPE_BYTES + plan->n_specials, plan->n_specials,
                         BPE_MAX_VOCAB);
    struct trainer t = {.words = words};
    struct bpe *b =
        prepare(&t, err) == 0 && learn(&t, plan, err) == 0 ? bpe_create(&t.model, err) : NULL;
    trainer_free(&t);
    return b;
}
