/* test_pretokenizer.c: a text is split into words by its pattern, whatever pieces it
 * arrives in. */
#include "data/tokenizer/pretokenizer.h"
#include "tests/bpe_fixture.h"

struct list {
    char *text;
    size_t n, used, *ends;
    uint32_t *runs[PRETOKENIZER_SLOTS];
    struct word_run run[PRETOKENIZER_SLOTS];
};

static int take_words(void *context, size_t thread, size_t slot, const struct word_run *run,
                      struct error *e)
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
    for (size_t i = 0; i < r->n; i++) {
        const struct word w = r->words[i];
        memcpy(l->text + l->used, r->text + w.begin, w.end - w.begin);
        l->used += w.end - w.begin;
        l->ends[l->n++] = l->used;
    }
    return 0;
}

static void find_words(struct list *l, const struct pattern *p, const char *separator,
                       const char *text, size_t n, size_t batch)
{
    *l = (struct list){.text = malloc(n + 1), .ends = malloc((n + 2) * sizeof *l->ends)};
    const struct pretokenizer_config c = {p, separator, take_words, commit_words, l, batch};
    struct pretokenizer *w = pretokenizer_create(&c, &err);
    ck_assert_msg(w, "%s", err.text);
    OK(pretokenizer_append(w, text, 0, &err)); /* an empty file */
    for (size_t i = 0, m; i < n; i += m) {
        m = batch ? 1 + random_below(2 * batch) : n;
        m = m < n - i ? m : n - i;
        OK(pretokenizer_append(w, text + i, m, &err));
    }
    OK(pretokenizer_finish(w, &err));
    pretokenizer_destroy(w);
}

static void list_free(struct list *l)
{
    free(l->text);
    free(l->ends);
}

/* Where words end depends neither on the pieces in which a text comes nor on how it is divided
 * among threads. */
START_TEST(words_do_not_depend_on_pieces)
{
    static const char *const PATTERNS[] = {
        "gpt2", "gpt4", "gpt4o", "\\w+", "(?<=a)b+|[^b]+", ".", "\\s*\\S+\\s*$|\\s*\\S+", "a{3}"};
    static const char *const SEPARATORS[] = {"", "\n\n", "the", " "};
    struct list *whole = malloc(sizeof *whole), *pieces = malloc(sizeof *pieces);
    for (size_t round = 0; round < 240; round++) {
        char text[3000];
        const size_t n = random_text(text, 100 + random_below(2900));
        struct pattern *p = pattern_create(PATTERNS[round % 8], &err);
        const char *separator = SEPARATORS[random_below(4)];
        find_words(whole, p, separator, text, n, 0);
        find_words(pieces, p, separator, text, n, 1 + random_below(300));
        EXPECT_MSG(whole->n == pieces->n &&
                       memcmp(whole->ends, pieces->ends, whole->n * sizeof *whole->ends) == 0,
                   "round %zu, pattern %s, separator \"%s\"", round, PATTERNS[round % 8],
                   separator);
        EXPECT(whole->used == pieces->used && memcmp(whole->text, pieces->text, whole->used) == 0);
        if (!*separator)
            EXPECT_MSG(whole->used == n && memcmp(whole->text, text, n) == 0,
                       "round %zu: text was lost", round);
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
        {"gpt2", "I'll say it's   two\n\n words!! 1234",
         "I|'ll| say| it|'s|  | two|\n\n| words|!!| 1234"},
        {"gpt2", "I'LL", "I|'|LL"},
        {"gpt4", "I'LL say 1234 !!\n\n x", "I|'LL| say| |123|4| !!\n\n| x"},
        {"gpt4", "a  b\n \n c", "a| | b|\n \n| c"},
        {"gpt2", "a\u00a0 b", "a|\u00a0| b"},
        {"gpt2", "a\u180e b", "a|\u180e| b"}, /* not White_Space, so a separate symbol */
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
            sprintf(words + strlen(words), "%s%.*s", k ? "|" : "", (int)(l->ends[k] - begin),
                    l->text + begin);
        ck_assert_str_eq(words, CASES[i].words);
        list_free(l);
        pattern_destroy(p);
    }
    free(l);
    FAILS(!pattern_create("(a", &err), "not a regular expression");
    FAILS(!pattern_create("", &err), "expected gpt2, gpt4, gpt4o or");
}
END_TEST

SUITE("data/tokenizer/pretokenizer", patterns_cut_as_they_say, words_do_not_depend_on_pieces)
