/* test_bpe_train.c: the merges that training finds are those of the definition, which counts all
 * pairs anew for each. */
#include "tests/bpe_fixture.h"

static int compare_bytes(const char *a, size_t n, const char *b, size_t m)
{
    const int order = memcmp(a, b, n < m ? n : m);
    return order ? order : (n > m) - (n < m);
}

static int compare_pairs(const void *x, const void *y)
{
    const struct plain_pair *p = x, *q = y;
    const int left = compare_bytes(p->left, p->n_left, q->left, q->n_left);
    return left ? left : compare_bytes(p->right, p->n_right, q->right, q->n_right);
}

/* All pairs of all words, counted anew; the greatest of the most frequent. */
static struct plain_pair plain_best(const struct plain_word *words, size_t n_words,
                                    struct plain_pair *pairs)
{
    size_t n = 0;
    for (size_t w = 0; w < n_words; w++)
        for (size_t i = 0; i + 1 < words[w].n; i++)
            pairs[n++] = (struct plain_pair){
                words[w].bytes + words[w].begin[i], words[w].bytes + words[w].begin[i + 1],
                words[w].length[i], words[w].length[i + 1], words[w].count};
    qsort(pairs, n, sizeof *pairs, compare_pairs);
    struct plain_pair best = {0};
    for (size_t i = 0, end; i < n; i = end) {
        struct plain_pair sum = pairs[i];
        for (end = i + 1; end < n && compare_pairs(&pairs[i], &pairs[end]) == 0; end++)
            sum.count += pairs[end].count;
        if (sum.count >= best.count)
            best = sum; /* they ascend */
    }
    return best;
}

static void compare_with_textbook(const struct bytemap *counts, size_t merges)
{
    const struct bpe_plan plan = {
        256 + merges + 1, (const char *const[]){"<|endoftext|>"}, 1, "gpt2", NULL, NULL, false};
    struct bpe *b = bpe_train(counts, &plan, &err);
    ck_assert_msg(b, "%s", err.text);
    const struct bpe_model *model = &b->model;
    ck_assert_uint_eq(model->n_merges, merges);
    const size_t n = counts->n;
    struct plain_word *words = malloc(n * sizeof *words);
    struct plain_pair *pairs = malloc((counts->used + 1) * sizeof *pairs);
    for (uint32_t i = 0; i < n; i++) {
        const struct bytemap_entry *e = &counts->entries[i];
        plain_word_init(&words[i], bytemap_key(counts, e), e->length, e->value);
    }
    for (size_t m = 0; m < merges; m++) {
        const struct plain_pair best = plain_best(words, n, pairs);
        size_t n_left, n_right;
        const char *left = bpe_token(model, model->merges[m].left, &n_left),
                   *right = bpe_token(model, model->merges[m].right, &n_right);
        const struct plain_pair ours = {left, right, n_left, n_right, 0};
        EXPECT_MSG(compare_pairs(&best, &ours) == 0,
                   "merge %zu: \"%.*s\" + \"%.*s\", expected \"%.*s\" + \"%.*s\"", m, (int)n_left,
                   left, (int)n_right, right, (int)best.n_left, best.left, (int)best.n_right,
                   best.right);
        for (size_t i = 0; i < n; i++)
            plain_merge(&words[i], &best);
    }
    /* And every word of the text is encoded as training left it. */
    struct bpe_workspace *s = bpe_workspace_create(&err);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t ids[1 << 16];
        EXPECT(bpe_encode_word(b, s, words[i].bytes, counts->entries[i].length, ids) == words[i].n);
        for (size_t k = 0, length; k < words[i].n; k++) {
            const char *token = bpe_token(model, ids[k], &length);
            EXPECT(is_token(&words[i], k, token, length));
        }
        free(words[i].begin);
        free(words[i].length);
    }
    bpe_workspace_destroy(s);
    free(words);
    free(pairs);
    bpe_destroy(b);
}

START_TEST(merges_are_the_textbooks)
{
    size_t n;
    char *text = real_text(&n);
    struct bytemap counts;
    count_words(&counts, "gpt2", text, n < 120000 ? n : 120000);
    compare_with_textbook(&counts, 400);
    bytemap_free(&counts);
    free(text);
}
END_TEST

/* Few letters: pairs that overlap (aaa), and ties at every step. */
START_TEST(merges_of_ties_and_overlaps)
{
    for (size_t round = 0; round < 60; round++) {
        struct bytemap counts = {0};
        const size_t letters = 1 + round % 3;
        for (size_t i = 0; i < 40; i++) {
            char word[40];
            const size_t n = 1 + random_below(40);
            for (size_t k = 0; k < n; k++)
                word[k] =
                    (char)(round % 2 ? 0xFF - random_below(letters) : 'a' + random_below(letters));
            bytemap_add(&counts, word, n)->value += 1 + random_below(3);
        }
        compare_with_textbook(&counts, letters == 1 ? 5 : 60);
        bytemap_free(&counts);
    }
}
END_TEST

/* 64 bits: a pair that occurs 2^40 times is not a pair that occurs never. */
START_TEST(large_counts)
{
    struct bytemap counts = {0};
    bytemap_add(&counts, "ab", 2)->value = (uint64_t)1 << 40;
    bytemap_add(&counts, "cd", 2)->value = ((uint64_t)1 << 40) + 1;
    bytemap_add(&counts, "ef", 2)->value = UINT32_MAX;
    compare_with_textbook(&counts, 3);
    const struct bpe_plan plan = {270, NULL, 0, "gpt2", NULL, NULL, false};
    FAILS(!bpe_train(&counts, &plan, &err),
          "a vocabulary of 270: the text gives only 259 (256 bytes, 3 merges, 0 special)");
    const struct bpe_plan small = {255, NULL, 0, "gpt2", NULL, NULL, false};
    FAILS(!bpe_train(&counts, &small, &err),
          "a vocabulary of 255: expected 256 (256 bytes, 0 special) to");
    bytemap_free(&counts);
}
END_TEST

SUITE("data/bpe train", merges_are_the_textbooks, merges_of_ties_and_overlaps, large_counts)
