/* bpe_train.c: byte-pair encoding learned from words.
 *
 * Counting all pairs anew for each merge, as the definition reads, takes hours where this takes a second: a merge changes only the
 * words that hold its pair, and of those only the pairs beside it. So every pair keeps its count and a list of words that it was seen
 * in (which may have lost it since). The best pair is found by a heap whose entries may be out of date: a count only falls, except
 * in the step in which the pair's younger token is made, so an entry that is too high is corrected when it comes to the top, and
 * none is ever too low. Memory is the unique words', times a small number.
 */
#include "data/tokenizer/bpe_train.h"
#include "data/tokenizer/pairmap.h"
#include <stdlib.h>
#include <string.h>

/* --- pairs --- */

struct pair {
    uint32_t left, right;
    uint64_t count;
    uint32_t *words; /* that it was seen in, each at most once in a row */
    uint32_t n_words, room;
};

struct entry {
    uint64_t count;
    uint32_t pair;
};

struct trainer {
    const struct word_counts *words;
    uint32_t *symbols; /* of all words, one behind the other */
    uint64_t *begins;  /* of each word in symbols */
    uint32_t *lengths; /* in symbols, as they are now */
    struct bpe_parts parts;
    struct pairmap numbers;
    struct pair *pairs;
    size_t n_pairs, pairs_room;
    struct entry *heap;
    size_t n_heap, heap_room;
};

/* The number of a pair, which is made where it is new. PAIRMAP_NONE where memory is short. */
static uint32_t pair_number(struct trainer *t, uint32_t left, uint32_t right)
{
    const uint32_t known = pairmap_find(&t->numbers, left, right);
    if (known != PAIRMAP_NONE)
        return known;
    if (t->n_pairs == t->pairs_room) {
        const size_t room = t->pairs_room ? 2 * t->pairs_room : 1024;
        struct pair *pairs = room < UINT32_MAX ? realloc(t->pairs, room * sizeof *pairs) : NULL;
        if (!pairs || !pairmap_reserve(&t->numbers, room))
            return PAIRMAP_NONE;
        t->pairs = pairs;
        t->pairs_room = room;
    }
    t->pairs[t->n_pairs] = (struct pair){.left = left, .right = right};
    pairmap_put(&t->numbers, left, right, (uint32_t)t->n_pairs);
    return (uint32_t)t->n_pairs++;
}

/* One more place in word w where the pair stands. */
static int count_pair(struct trainer *t, uint32_t left, uint32_t right, uint32_t w)
{
    const uint32_t i = pair_number(t, left, right);
    if (i == PAIRMAP_NONE)
        return -1;
    struct pair *p = &t->pairs[i];
    p->count += t->words->counts[w];
    if (p->n_words && p->words[p->n_words - 1] == w)
        return 0;
    if (p->n_words == p->room) {
        const uint32_t room = p->room ? 2 * p->room : 4;
        uint32_t *words = realloc(p->words, room * sizeof *words);
        if (!words)
            return -1;
        p->words = words;
        p->room = room;
    }
    p->words[p->n_words++] = w;
    return 0;
}

static void uncount_pair(struct trainer *t, uint32_t left, uint32_t right, uint32_t w)
{
    t->pairs[pairmap_find(&t->numbers, left, right)].count -= t->words->counts[w];
}

/* --- the heap: the highest count first, then the greater pair of byte strings --- */

static int compare_tokens(const struct trainer *t, uint32_t a, uint32_t b)
{
    const uint32_t *ends = t->parts.ends;
    const uint32_t begin_a = a ? ends[a - 1] : 0, begin_b = b ? ends[b - 1] : 0;
    const size_t n_a = ends[a] - begin_a, n_b = ends[b] - begin_b;
    const int order =
        memcmp(t->parts.bytes + begin_a, t->parts.bytes + begin_b, n_a < n_b ? n_a : n_b);
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
    if (t->n_heap == t->heap_room) {
        const size_t room = t->heap_room ? 2 * t->heap_room : 1024;
        struct entry *heap = realloc(t->heap, room * sizeof *heap);
        if (!heap)
            return -1;
        t->heap = heap;
        t->heap_room = room;
    }
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

/* The pair that occurs most often; PAIRMAP_NONE where no word has two symbols any more. */
static uint32_t best_pair(struct trainer *t)
{
    while (t->n_heap > 0) {
        const struct entry e = pop(t);
        const uint64_t count = t->pairs[e.pair].count;
        if (count == e.count && count > 0)
            return e.pair;
        if (count > 0)
            (void)push(t, e.pair); /* into the place that was just freed */
    }
    return PAIRMAP_NONE;
}

/* --- a merge --- */

/* Replaces the pair by `result` in word w, from left to right. In x a b y the pairs x a and b y go, x result and result y come; what
 * comes between two places that touch is counted, then uncounted. */
static int merge_in_word(struct trainer *t, uint32_t left, uint32_t right, uint32_t result,
                         uint32_t w)
{
    uint32_t *s = t->symbols + t->begins[w];
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
    char bytes[BPE_MAX_TOKEN];
    const uint32_t *ends = t->parts.ends;
    const uint32_t l = p->left ? ends[p->left - 1] : 0, r = p->right ? ends[p->right - 1] : 0;
    const size_t n_left = ends[p->left] - l, n_right = ends[p->right] - r;
    if (n_left + n_right > sizeof bytes)
        return fail(err, "a token would be longer than %d bytes: one word is repeated too often",
                    BPE_MAX_TOKEN);
    memcpy(bytes, t->parts.bytes + l, n_left);
    memcpy(bytes + n_left, t->parts.bytes + r, n_right);
    const struct merge m = {p->left, p->right, (uint32_t)t->parts.vocab_size};
    return bpe_parts_add(&t->parts, bytes, n_left + n_right, BPE_NORMAL, err) != 0 ||
                   bpe_parts_merge(&t->parts, m, err) != 0
               ? -1
               : 0;
}

static int merge_pair(struct trainer *t, uint32_t best, struct error *err)
{
    const struct pair p = t->pairs[best];
    const size_t before_n = t->n_pairs;
    if (add_token(t, &p, err) != 0)
        return -1;
    t->pairs[best] = (struct pair){.left = p.left, .right = p.right};
    int status = 0;
    for (uint32_t i = 0; i < p.n_words && status == 0; i++)
        status = merge_in_word(t, p.left, p.right, (uint32_t)t->parts.vocab_size - 1, p.words[i]);
    free(p.words);
    free(t->pairs[best].words);
    t->pairs[best] = (struct pair){.left = p.left, .right = p.right};
    for (size_t i = before_n; i < t->n_pairs && status == 0; i++)
        status = push(t, (uint32_t)i);
    return status == 0 ? 0 : fail(err, "out of memory for the counts of pairs");
}

/* --- all of it --- */

static int prepare(struct trainer *t, struct error *err)
{
    const struct bytemap *words = &t->words->words;
    t->symbols = malloc((words->used + 1) * sizeof *t->symbols);
    t->begins = malloc((words->n + 1) * sizeof *t->begins);
    t->lengths = malloc((words->n + 1) * sizeof *t->lengths);
    if (!t->symbols || !t->begins || !t->lengths || !pairmap_reserve(&t->numbers, 1))
        return fail(err, "out of memory for %zu words", words->n);
    for (int i = 0; i < BPE_BYTES; i++)
        if (bpe_parts_add(&t->parts, (const char[]){(char)i}, 1, BPE_NORMAL, err) != 0)
            return -1;
    for (uint32_t w = 0; w < words->n; w++) {
        size_t n;
        const char *bytes = bytemap_key(words, w, &n);
        uint32_t *s = t->symbols + words->entries[w].offset;
        t->begins[w] = words->entries[w].offset;
        t->lengths[w] = (uint32_t)n;
        for (size_t i = 0; i < n; i++)
            s[i] = (uint8_t)bytes[i];
        for (size_t i = 0; i + 1 < n; i++)
            if (count_pair(t, s[i], s[i + 1], w) != 0)
                return fail(err, "out of memory for the counts of pairs");
    }
    for (size_t i = 0; i < t->n_pairs; i++)
        if (push(t, (uint32_t)i) != 0)
            return fail(err, "out of memory for the counts of pairs");
    return 0;
}

static int learn(struct trainer *t, const struct bpe_plan *plan, struct error *err)
{
    const size_t merges = plan->vocab_size - BPE_BYTES - plan->n_specials;
    while (t->parts.n_merges < merges) {
        const uint32_t best = best_pair(t);
        if (best == PAIRMAP_NONE)
            return fail(
                err,
                "a vocabulary of %zu: the text gives only %zu (256 bytes, %zu merges, %zu special)",
                plan->vocab_size, t->parts.vocab_size + plan->n_specials, t->parts.n_merges,
                plan->n_specials);
        if (merge_pair(t, best, err) != 0)
            return -1;
        if (plan->progress)
            plan->progress(plan->context, t->parts.n_merges, merges);
    }
    for (size_t i = 0; i < plan->n_specials; i++)
        if (bpe_parts_add(&t->parts, plan->specials[i], strlen(plan->specials[i]), BPE_SPECIAL,
                          err) != 0)
            return -1;
    return (t->parts.regex = strdup(plan->regex)) ? 0 : fail(err, "out of memory");
}

static void trainer_free(struct trainer *t)
{
    for (size_t i = 0; i < t->n_pairs; i++)
        free(t->pairs[i].words);
    free(t->pairs);
    free(t->heap);
    free(t->symbols);
    free(t->begins);
    free(t->lengths);
    pairmap_free(&t->numbers);
    bpe_parts_free(&t->parts);
}

struct bpe *bpe_train(const struct word_counts *words, const struct bpe_plan *plan,
                      struct error *err)
{
    if (plan->vocab_size < BPE_BYTES + plan->n_specials || plan->vocab_size > BPE_MAX_VOCAB) {
        fail(err, "a vocabulary of %zu: expected %zu (256 bytes, %zu special) to %d",
             plan->vocab_size, BPE_BYTES + plan->n_specials, plan->n_specials, BPE_MAX_VOCAB);
        return NULL;
    }
    struct trainer t = {.words = words};
    struct bpe *b =
        prepare(&t, err) == 0 && learn(&t, plan, err) == 0 ? bpe_create(&t.parts, err) : NULL;
    trainer_free(&t);
    return b;
}
