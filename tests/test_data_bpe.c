/* test_data_bpe.c: byte-pair encoding against its definition: the plain algorithms below are the oracles of the fast ones. */
#include "../data/bpe_train.h"
#include "../data/encoder.h"
#include "../data/tokenizer.h"
#include "../data/utf8.h"
#include "../data/words.h"
#include "data_fixture.h"

/* --- texts --- */

/* Real ones: the project's own, and a book of quotations where it is installed. */
static char *real_text(size_t *n)
{
    static const char *const FILES[] = {"README.md", "docs/derivations.md", "model/attention.c",
                                        "/usr/share/games/fortunes/literature"};
    char *all = NULL;
    *n = 0;
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        size_t size;
        if (access(FILES[i], R_OK) != 0)
            continue;
        unsigned char *bytes = read_file(FILES[i], &size);
        all = realloc(all, *n + size);
        memcpy(all + *n, bytes, size);
        *n += size;
        free(bytes);
    }
    ck_assert_uint_gt(*n, 30000);
    return all;
}

/* Everything that can go wrong: every plane, combining marks, runs of white space, contractions, digits, and bytes that are no UTF-8. */
static size_t random_text(char *text, size_t max)
{
    static const char *const PARTS[] = {"the",
                                        " of",
                                        "'s",
                                        "'LL",
                                        "  ",
                                        "\n\n",
                                        "\r\n",
                                        "\t ",
                                        "12345",
                                        "é",
                                        "e\u0301",
                                        "漢字",
                                        "👨‍👩‍👧",
                                        "aaaa",
                                        "ſ",
                                        "…",
                                        "\u00a0",
                                        "\u180e",
                                        "\x80",
                                        "\xff",
                                        "\xe2\x82",
                                        "\xed\xa0\x80",
                                        " ",
                                        "x"};
    size_t n = 0;
    while (n + 32 < max) {
        const uint64_t kind = random_below(8);
        if (kind == 0) {
            const uint32_t c = (uint32_t)random_below(CODE_POINTS);
            n += utf8_encode(c >= 0xD800 && c <= 0xDFFF ? 'a' : c, text + n);
        } else if (kind == 1) {
            text[n++] = (char)random_below(256);
        } else {
            const char *part = PARTS[random_below(sizeof PARTS / sizeof *PARTS)];
            memcpy(text + n, part, strlen(part));
            n += strlen(part);
        }
    }
    return n;
}

/* --- words --- */

struct list {
    char *text;
    size_t n, used, *ends;
    uint32_t *runs[WORDS_SLOTS];
    struct word_run run[WORDS_SLOTS];
};

static int take_words(void *context, size_t thread, size_t slot, const struct word_run *run, struct error *e)
{
    (void)thread, (void)e;
    struct list *l = context;
    l->run[slot] = *run;
    return 0;
}

/* Copies the words, and ends a document with an empty one. */
static int commit_words(void *context, size_t slot, struct error *e)
{
    (void)e;
    struct list *l = context;
    const struct word_run *r = &l->run[slot];
    size_t begin = r->begin;
    for (size_t i = 0; i < r->n; i++) {
        const size_t end = r->marks[i] & ~WORDS_DOCUMENT;
        if (!(r->marks[i] & WORDS_DOCUMENT)) {
            memcpy(l->text + l->used, r->text + begin, end - begin);
            l->used += end - begin;
        }
        l->ends[l->n++] = l->used;
        begin = end;
    }
    return 0;
}

static void find_words(struct list *l, const struct pattern *p, const char *separator, const char *text, size_t n, size_t batch)
{
    *l = (struct list){.text = malloc(n + 1), .ends = malloc((n + 2) * sizeof *l->ends)};
    const struct words_config c = {p, separator, strlen(separator), take_words, commit_words, l, batch};
    struct words *w = words_create(&c, &err);
    ck_assert_msg(w, "%s", err.text);
    OK(words_append(w, text, 0, &err)); /* an empty file */
    for (size_t i = 0, m; i < n; i += m) {
        m = batch ? 1 + random_below(2 * batch) : n;
        m = m < n - i ? m : n - i;
        OK(words_append(w, text + i, m, &err));
    }
    OK(words_finish(w, &err));
    words_destroy(w);
}

static void list_free(struct list *l)
{
    free(l->text);
    free(l->ends);
}

/* Where words end depends neither on the pieces in which a text comes nor on how it is divided among threads. */
START_TEST(words_do_not_depend_on_pieces)
{
    static const char *const PATTERNS[] = {"gpt2", "gpt4", "gpt4o", "\\w+", "(?<=a)b+|[^b]+", ".", "\\s*\\S+\\s*$|\\s*\\S+",
                                           "a{3}"};
    static const char *const SEPARATORS[] = {"", "\n\n", "the", " "};
    struct list *whole = malloc(sizeof *whole), *pieces = malloc(sizeof *pieces);
    for (size_t round = 0; round < 240; round++) {
        char text[3000];
        const size_t n = random_text(text, 100 + random_below(2900));
        struct pattern *p = pattern_create(PATTERNS[round % 8], &err);
        const char *separator = SEPARATORS[random_below(4)];
        find_words(whole, p, separator, text, n, 0);
        find_words(pieces, p, separator, text, n, 1 + random_below(300));
        EXPECT_MSG(whole->n == pieces->n && memcmp(whole->ends, pieces->ends, whole->n * sizeof *whole->ends) == 0,
                   "round %zu, pattern %s, separator \"%s\"", round, PATTERNS[round % 8], separator);
        EXPECT(whole->used == pieces->used && memcmp(whole->text, pieces->text, whole->used) == 0);
        if (!*separator)
            EXPECT_MSG(whole->used == n && memcmp(whole->text, text, n) == 0, "round %zu: text was lost", round);
        list_free(whole);
        list_free(pieces);
        pattern_destroy(p);
    }
    free(whole);
    free(pieces);
}
END_TEST

START_TEST(patterns_cut_as_they_say)
{
    static const struct {
        const char *pattern, *text, *words; /* with | between */
    } CASES[] = {
        {"gpt2", "I'll say it's   two\n\n words!! 1234", "I|'ll| say| it|'s|  | two|\n\n| words|!!| 1234"},
        {"gpt2", "I'LL", "I|'|LL"},
        {"gpt4", "I'LL say 1234 !!\n\n x", "I|'LL| say| |123|4| !!\n\n| x"},
        {"gpt4", "a  b\n \n c", "a| | b|\n \n| c"},
        {"gpt2", "a\u00a0 b", "a|\u00a0| b"},
        {"gpt2", "a\u180e b", "a|\u180e| b"}, /* no White_Space: a symbol of its own */
        {"gpt2", " \u180e", " \u180e"},
        {"gpt2", "é漢e\u0301", "é漢e|\u0301"},
        {"gpt2",
         "ab\xff\xfe"
         "cd",
         "ab|\xff\xfe|cd"},
        {"gpt2", "x \xe2\x82", "x| |\xe2\x82"},
        {"\\w+", "a b, c", "a| |b|, |c"},
    };
    struct list *l = malloc(sizeof *l);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct pattern *p = pattern_create(CASES[i].pattern, &err);
        ck_assert_msg(p, "%s", err.text);
        find_words(l, p, "", CASES[i].text, strlen(CASES[i].text), 0);
        char words[200] = "";
        for (size_t k = 0, begin = 0; k < l->n; begin = l->ends[k++])
            sprintf(words + strlen(words), "%s%.*s", k ? "|" : "", (int)(l->ends[k] - begin), l->text + begin);
        ck_assert_str_eq(words, CASES[i].words);
        list_free(l);
        pattern_destroy(p);
    }
    free(l);
    FAILS(!pattern_create("(a", &err), "not a regular expression");
    FAILS(!pattern_create("", &err), "expected gpt2, gpt4, gpt4o or");
}
END_TEST

/* --- training --- */

/* A word as the definition has it: its tokens' bytes. Token i of a vocabulary here is a string. */
struct plain_word {
    size_t n, *begin, *length; /* into bytes */
    const char *bytes;
    uint64_t count;
};

struct plain_pair {
    const char *left, *right;
    size_t n_left, n_right;
    uint64_t count;
};

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
static struct plain_pair plain_best(const struct plain_word *words, size_t n_words, struct plain_pair *pairs)
{
    size_t n = 0;
    for (size_t w = 0; w < n_words; w++)
        for (size_t i = 0; i + 1 < words[w].n; i++)
            pairs[n++] = (struct plain_pair){words[w].bytes + words[w].begin[i], words[w].bytes + words[w].begin[i + 1],
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

static bool is_token(const struct plain_word *w, size_t i, const char *bytes, size_t n)
{
    return w->length[i] == n && memcmp(w->bytes + w->begin[i], bytes, n) == 0;
}

/* The pair becomes one token wherever it stands, from left to right. */
static void plain_merge(struct plain_word *w, const struct plain_pair *p)
{
    size_t out = 0;
    for (size_t i = 0; i < w->n; i++, out++) {
        w->begin[out] = w->begin[i];
        w->length[out] = w->length[i];
        if (i + 1 < w->n && is_token(w, i, p->left, p->n_left) && is_token(w, i + 1, p->right, p->n_right))
            w->length[out] += w->length[++i];
    }
    w->n = out;
}

static void plain_word_init(struct plain_word *w, const char *bytes, size_t n, uint64_t count)
{
    *w = (struct plain_word){n, malloc(n * sizeof(size_t)), malloc(n * sizeof(size_t)), bytes, count};
    for (size_t i = 0; i < n; i++)
        w->begin[i] = i, w->length[i] = 1;
}

static void count_words(struct word_counts *counts, const char *regex, const char *text, size_t n)
{
    struct pattern *p = pattern_create(regex, &err);
    struct word_counter *c = word_counter_create(p, "", 0, &err);
    OK(word_counter_append(c, text, n, &err));
    OK(word_counter_finish(c, counts, &err));
    word_counter_destroy(c);
    pattern_destroy(p);
}

static void compare_with_textbook(const struct word_counts *counts, size_t merges)
{
    const struct bpe_plan plan = {256 + merges + 1, (const char *const[]){"<|endoftext|>"}, 1, "gpt2", NULL, NULL};
    struct bpe *b = bpe_train(counts, &plan, &err);
    ck_assert_msg(b, "%s", err.text);
    const struct bpe_parts *parts = bpe_get_parts(b);
    ck_assert_uint_eq(parts->n_merges, merges);
    const size_t n = counts->words.n;
    struct plain_word *words = malloc(n * sizeof *words);
    struct plain_pair *pairs = malloc((counts->words.used + 1) * sizeof *pairs);
    for (uint32_t i = 0; i < n; i++) {
        size_t length;
        const char *bytes = bytemap_key(&counts->words, i, &length);
        plain_word_init(&words[i], bytes, length, counts->counts[i]);
    }
    for (size_t m = 0; m < merges; m++) {
        const struct plain_pair best = plain_best(words, n, pairs);
        size_t n_left, n_right;
        const char *left = bpe_token(b, parts->merges[m].left, &n_left), *right = bpe_token(b, parts->merges[m].right, &n_right);
        const struct plain_pair ours = {left, right, n_left, n_right, 0};
        EXPECT_MSG(compare_pairs(&best, &ours) == 0, "merge %zu: \"%.*s\" + \"%.*s\", expected \"%.*s\" + \"%.*s\"", m,
                   (int)n_left, left, (int)n_right, right, (int)best.n_left, best.left, (int)best.n_right, best.right);
        for (size_t i = 0; i < n; i++)
            plain_merge(&words[i], &best);
    }
    /* And every word of the text is encoded as training left it. */
    struct bpe_scratch *s = bpe_scratch_create(&err);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t ids[1 << 16];
        EXPECT(bpe_encode_word(b, s, words[i].bytes, counts->words.entries[i].length, ids) == words[i].n);
        for (size_t k = 0, length; k < words[i].n; k++) {
            const char *token = bpe_token(b, ids[k], &length);
            EXPECT(is_token(&words[i], k, token, length));
        }
        free(words[i].begin);
        free(words[i].length);
    }
    bpe_scratch_destroy(s);
    free(words);
    free(pairs);
    bpe_destroy(b);
}

START_TEST(merges_are_the_textbooks)
{
    size_t n;
    char *text = real_text(&n);
    struct word_counts counts;
    count_words(&counts, "gpt2", text, n < 120000 ? n : 120000);
    compare_with_textbook(&counts, 400);
    word_counts_free(&counts);
    free(text);
}
END_TEST

/* Few letters: pairs that overlap (aaa), and ties at every step. */
START_TEST(merges_of_ties_and_overlaps)
{
    for (size_t round = 0; round < 60; round++) {
        struct word_counts counts = {0};
        const size_t letters = 1 + round % 3;
        for (size_t i = 0; i < 40; i++) {
            char word[40];
            const size_t n = 1 + random_below(40);
            for (size_t k = 0; k < n; k++)
                word[k] = (char)(round % 2 ? 0xFF - random_below(letters) : 'a' + random_below(letters));
            ck_assert_int_eq(word_counts_add(&counts, word, n, 1 + random_below(3)), 0);
        }
        compare_with_textbook(&counts, letters == 1 ? 5 : 60);
        word_counts_free(&counts);
    }
}
END_TEST

/* 64 bits: a pair that occurs 2^40 times is not a pair that occurs never. */
START_TEST(large_counts)
{
    struct word_counts counts = {0};
    ck_assert_int_eq(word_counts_add(&counts, "ab", 2, (uint64_t)1 << 40), 0);
    ck_assert_int_eq(word_counts_add(&counts, "cd", 2, ((uint64_t)1 << 40) + 1), 0);
    ck_assert_int_eq(word_counts_add(&counts, "ef", 2, UINT32_MAX), 0);
    compare_with_textbook(&counts, 3);
    const struct bpe_plan plan = {270, NULL, 0, "gpt2", NULL, NULL};
    FAILS(!bpe_train(&counts, &plan, &err), "a vocabulary of 270: the text gives only 259 (256 bytes, 3 merges, 0 special)");
    const struct bpe_plan small = {255, NULL, 0, "gpt2", NULL, NULL};
    FAILS(!bpe_train(&counts, &small, &err), "a vocabulary of 255: expected 256 (256 bytes, 0 special) to");
    word_counts_free(&counts);
}
END_TEST

/* --- encoding --- */

static struct tokenizer *trained(size_t size, const char *regex)
{
    size_t n;
    char *text = real_text(&n);
    struct word_counts counts;
    count_words(&counts, regex, text, n);
    const struct bpe_plan plan = {size, (const char *const[]){"<|endoftext|>", "<|end|>", "<|end|><|"}, 3, regex, NULL, NULL};
    struct tokenizer *t = tokenizer_create_bpe(bpe_train(&counts, &plan, &err), &err);
    ck_assert_msg(t, "%s", err.text);
    word_counts_free(&counts);
    free(text);
    return t;
}

/* As long as any two neighbours have a merge, the one with the lowest rank happens wherever it can. */
static size_t plain_encode(const struct bpe *b, const char *word, size_t n, size_t *ends)
{
    struct plain_word w;
    plain_word_init(&w, word, n, 1);
    const struct bpe_parts *parts = bpe_get_parts(b);
    for (size_t m = 0; m < parts->n_merges; m++) {
        struct plain_pair p = {0};
        p.left = bpe_token(b, parts->merges[m].left, &p.n_left);
        p.right = bpe_token(b, parts->merges[m].right, &p.n_right);
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
    const struct bpe *b = tokenizer_bpe(t);
    struct bpe_scratch *s = bpe_scratch_create(&err);
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
        const size_t expected = plain_encode(b, word, length, ends), got = bpe_encode_word(b, s, word, length, ids);
        EXPECT_MSG(got == expected, "%zu tokens of \"%.*s\", expected %zu", got, (int)length, word, expected);
        for (size_t i = 0, m; i < got; i++) {
            bpe_token(b, ids[i], &m);
            EXPECT((end += m) == ends[i]);
        }
    }
    bpe_scratch_destroy(s);
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
        OK(tokenizer_encode(t, text, length, &ids, &n, &err));
        EXPECT(decode(t, ids, n, back) == length && memcmp(text, back, length) == 0);
        n_collected = 0;
        const struct encoder_config c = {t, "", 0, false, collect, NULL};
        struct encoder *e = encoder_create(&c, &err);
        OK(encoder_append(e, text, length / 2, &err));
        OK(encoder_append(e, text + length / 2, length - length / 2, &err));
        OK(encoder_finish(e, &err));
        encoder_destroy(e);
        EXPECT_MSG(n == n_collected && memcmp(ids, collected, n * sizeof *ids) == 0, "round %zu", round);
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
    OK(tokenizer_encode_special(t, "a<|endoftext|><|end|> <|end|><|x", 32, &ids, &n, &err));
    const uint32_t expected[] = {'a', 597, 598, ' ', 599, 'x'};
    ck_assert(n == 6 && memcmp(ids, expected, sizeof expected) == 0);
    tokenizer_bytes(t, 597, &length); /* stands for no text, but has a name */
    ck_assert_uint_eq(length, 0);
    const char *name = tokenizer_name(t, 597, &length);
    ck_assert(length == 13 && memcmp(name, "<|endoftext|>", 13) == 0);
    free(ids);
    OK(tokenizer_encode(t, "<|endoftext|>", 13, &ids, &n, &err));
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_lt(ids[i], 597);
    free(ids);
    OK(tokenizer_encode(t, "", 0, &ids, &n, &err));
    ck_assert_uint_eq(n, 0);
    free(ids);
    tokenizer_destroy(t);
}
END_TEST

/* Documents: the first token of each is marked, an end-of-text token follows each, and none comes of an empty one. */
START_TEST(documents)
{
    struct tokenizer *ts[] = {trained(600, "gpt2"), tokenizer_create_byte(&err)};
    collected = malloc(100 * sizeof *collected);
    const uint32_t D = ENCODER_DOCUMENT, E = 597;
    const uint32_t bpe[] = {'q' | D, E, 'x' | D, '\n', E, 'y' | D, E, 'z' | D, E},
                   byte[] = {'q' | D, 'x' | D, '\n', 'y' | D, 'z' | D};
    for (size_t i = 0; i < 2; i++) {
        n_collected = 0;
        const struct encoder_config c = {ts[i], "--", 2, true, collect, NULL};
        struct encoder *e = encoder_create(&c, &err);
        OK(encoder_append(e, "--q---", 6, &err)); /* the separator comes in two pieces, the third dash is text */
        OK(encoder_append(e, "-x\n----y", 8, &err));
        OK(encoder_end_document(e, &err));
        OK(encoder_end_document(e, &err));
        OK(encoder_append(e, "z--", 3, &err));
        OK(encoder_finish(e, &err));
        encoder_destroy(e);
        ck_assert_uint_eq(n_collected, i ? 5 : 9);
        ck_assert(memcmp(collected, i ? byte : bpe, n_collected * sizeof *collected) == 0);
        tokenizer_destroy(ts[i]);
    }
    free(collected);
}
END_TEST

SUITE("data/bpe", patterns_cut_as_they_say, words_do_not_depend_on_pieces, merges_are_the_textbooks, merges_of_ties_and_overlaps,
      large_counts, words_are_encoded_by_definition, all_bytes_come_back, special_tokens, documents)
