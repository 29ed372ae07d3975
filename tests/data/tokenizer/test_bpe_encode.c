/* test_bpe_encode.c: words are encoded by definition, any bytes come back, and special tokens stand
 * where they should. */
#include "tests/bpe_fixture.h"

static struct tokenizer *trained(size_t size, const char *regex)
{
    size_t n;
    char *text = real_text(&n);
    struct bytemap counts;
    count_words(&counts, regex, text, n);
    const struct bpe_plan plan = {
        size, (const char *const[]){"<|endoftext|>", "<|end|>", "<|end|><|"}, 3, regex, NULL, NULL,
        false};
    struct tokenizer *t = tokenizer_create_bpe(bpe_train(&counts, &plan, &err), &err);
    ck_assert_msg(t, "%s", err.text);
    bytemap_free(&counts);
    free(text);
    return t;
}

/* As long as any two neighbours have a merge, the one with the lowest rank happens wherever it
 * can. */
static size_t plain_encode(const struct bpe *b, const char *word, size_t n, size_t *ends)
{
    struct plain_word w;
    plain_word_init(&w, word, n, 1);
    const struct bpe_model *model = &b->model;
    for (size_t m = 0; m < model->n_merges; m++) {
        struct plain_pair p = {0};
        p.left = bpe_token(model, model->merges[m].left, &p.n_left);
        p.right = bpe_token(model, model->merges[m].right, &p.n_right);
        plain_merge(&w, &p);
    }
    for (size_t i = 0; i < w.n; i++)
        ends[i] = w.begin[i] + w.length[i];
    free(w.begin);
    free(w.length);
    return w.n;
}

START_TEST(words_are_encoded_by_definition)
{
    struct tokenizer *t = trained(800, "gpt2");
    const struct bpe *b = t->bpe;
    struct bpe_workspace *s = bpe_workspace_create(&err);
    size_t n;
    char *text = real_text(&n);
    for (size_t round = 0; round < 3000; round++) {
        char word[400];
        const size_t length = 1 + random_below(round % 10 ? 30 : 400);
        if (round % 3 == 0)
            for (size_t i = 0; i < length; i++)
                word[i] = (char)random_below(256);
        else if (round % 3 == 1)
            memcpy(word, text + random_below(n - length), length);
        else
            memset(word, " e\n-"[random_below(4)], length);
        size_t ends[400], end = 0;
        uint32_t ids[400];
        const size_t expected = plain_encode(b, word, length, ends),
                     got = bpe_encode_word(b, s, word, length, ids);
        EXPECT_MSG(got == expected, "%zu tokens of \"%.*s\", expected %zu", got, (int)length, word,
                   expected);
        for (size_t i = 0, m; i < got; i++) {
            bpe_token(&b->model, ids[i], &m);
            EXPECT((end += m) == ends[i]);
        }
    }
    bpe_workspace_destroy(s);
    tokenizer_destroy(t);
    free(text);
}
END_TEST

static size_t decode(const struct tokenizer *t, const uint32_t *ids, size_t n, char *text)
{
    size_t length = 0, m;
    for (size_t i = 0; i < n; i++) {
        const char *bytes = tokenizer_name(t, ids[i], &m);
        memcpy(text + length, bytes, m);
        length += m;
    }
    return length;
}

static uint32_t *collected;
static size_t n_collected;
static int collect(void *context, const uint32_t *ids, size_t n, struct error *e)
{
    (void)context, (void)e;
    memcpy(collected + n_collected, ids, n * sizeof *ids);
    n_collected += n;
    return 0;
}

/* Any bytes come back, and a stream gives the tokens that the text gives in memory. */
START_TEST(all_bytes_come_back)
{
    struct tokenizer *ts[] = {trained(700, "gpt2"), trained(700, "gpt4"), trained(700, "[a-z]+")};
    collected = malloc(10000 * sizeof *collected);
    for (size_t round = 0; round < 900; round++) {
        const struct tokenizer *t = ts[round % 3];
        char text[3000], back[3000];
        uint32_t *ids;
        size_t n, length = random_text(text, 40 + random_below(2900));
        OK(tokenizer_encode(t, text, length, false, &ids, &n, &err));
        EXPECT(decode(t, ids, n, back) == length && memcmp(text, back, length) == 0);
        n_collected = 0;
        const struct encoder_config c = {t, "", false, collect, NULL};
        struct encoder *e = encoder_create(&c, &err);
        OK(pretokenizer_append(encoder_input(e), text, length / 2, &err));
        OK(pretokenizer_append(encoder_input(e), text + length / 2, length - length / 2, &err));
        OK(encoder_finish(e, &err));
        encoder_destroy(e);
        EXPECT_MSG(n == n_collected && memcmp(ids, collected, n * sizeof *ids) == 0, "round %zu",
                   round);
        free(ids);
    }
    free(collected);
    for (size_t i = 0; i < 3; i++)
        tokenizer_destroy(ts[i]);
}
END_TEST

START_TEST(special_tokens)
{
    struct tokenizer *t = trained(600, "gpt2");
    uint32_t *ids, end;
    size_t n, length;
    ck_assert(tokenizer_end_of_text(t, &end) && end == 597);
    OK(tokenizer_encode(t, "a<|endoftext|><|end|> <|end|><|x", 32, true, &ids, &n, &err));
    const uint32_t expected[] = {'a', 597, 598, ' ', 599, 'x'};
    ck_assert(n == 6 && memcmp(ids, expected, sizeof expected) == 0);
    tokenizer_bytes(t, 597, &length); /* stands for no text, but has a name */
    ck_assert_uint_eq(length, 0);
    const char *name = tokenizer_name(t, 597, &length);
    ck_assert(length == 13 && memcmp(name, "<|endoftext|>", 13) == 0);
    free(ids);
    OK(tokenizer_encode(t, "<|endoftext|>", 13, false, &ids, &n, &err));
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_lt(ids[i], 597);
    free(ids);
    OK(tokenizer_encode(t, "", 0, false, &ids, &n, &err));
    ck_assert_uint_eq(n, 0);
    free(ids);
    tokenizer_destroy(t);
}
END_TEST

/* Documents: the first token of each is marked, an end-of-text token follows each, and none comes
 * of an empty one. */
START_TEST(documents)
{
    struct tokenizer *ts[] = {trained(600, "gpt2"), tokenizer_create_byte(&err)};
    collected = malloc(100 * sizeof *collected);
    const uint32_t D = DOCUMENT_BEGIN, E = 597;
    const uint32_t bpe[] = {'q' | D, E, 'x' | D, '\n', E, 'y' | D, E, 'z' | D, E},
                   byte[] = {'q' | D, 'x' | D, '\n', 'y' | D, 'z' | D};
    for (size_t i = 0; i < 2; i++) {
        n_collected = 0;
        const struct encoder_config c = {ts[i], "--", true, collect, NULL};
        struct encoder *e = encoder_create(&c, &err);
        OK(pretokenizer_append(
            encoder_input(e), "--q---", 6,
            &err)); /* the separator comes in two pieces, the third dash is text */
        OK(pretokenizer_append(encoder_input(e), "-x\n----y", 8, &err));
        OK(pretokenizer_end_document(encoder_input(e), &err));
        OK(pretokenizer_end_document(encoder_input(e), &err));
        OK(pretokenizer_append(encoder_input(e), "z--", 3, &err));
        OK(encoder_finish(e, &err));
        encoder_destroy(e);
        ck_assert_uint_eq(n_collected, i ? 5 : 9);
        ck_assert(memcmp(collected, i ? byte : bpe, n_collected * sizeof *collected) == 0);
        tokenizer_destroy(ts[i]);
    }
    free(collected);
}
END_TEST

SUITE("data/bpe encode", words_are_encoded_by_definition, all_bytes_come_back, special_tokens,
      documents)
