/* test_division.c: whole documents for the validation split, compared with every possible choice,
 * and the order of tokens that follows. Also counting a string in pieces of a text. */
#include "base/minmax.h"
#include "data/corpus/division.h"
#include "data/corpus/occurrences.h"
#include "tests/data_fixture.h"
#include <math.h>

enum { MAX = 3000 };
static uint64_t begins[MAX];

static struct documents make(size_t n, uint64_t longest)
{
    struct documents d = {.begins = begins, .count = n};
    for (size_t k = 0; k < n; k++) {
        begins[k] = d.tokens;
        d.tokens += 1 + random_below(longest);
    }
    return d;
}

static uint64_t length_of(const struct documents *d, size_t k)
{
    return (k + 1 < d->count ? d->begins[k + 1] : d->tokens) - d->begins[k];
}

/* The least distance from the target of all sums of some but not all documents. */
static double best_distance(const struct documents *d, double target)
{
    double best = INFINITY;
    for (unsigned set = 1; set + 1 < 1u << d->count; set++) {
        uint64_t sum = 0;
        for (size_t k = 0; k < d->count; k++)
            sum += set >> k & 1 ? length_of(d, k) : 0;
        best = fmin(best, fabs((double)sum - target));
    }
    return best;
}

/* Checks that the division holds every document once, whole and in order in each split. */
static void check_whole(const struct division *d, const struct documents *text)
{
    uint64_t last = 0, val = 0;
    size_t seen = 0;
    for (uint64_t first = 0, n; first < text->tokens; first += n) {
        const uint64_t begin = division_find(d, first, &n);
        size_t k = 0;
        while (k < text->count && text->begins[k] < begin)
            k++;
        EXPECT(k < text->count && text->begins[k] == begin && n > 0);
        EXPECT(first == 0 || first == d->train || begin > last);
        EXPECT(first >= d->train || first + n <= d->train);
        for (uint64_t left = n; left > 0; left -= length_of(text, k++), seen++) {
            EXPECT(k < text->count && length_of(text, k) <= left);
            val += first >= d->train;
        }
        last = begin;
    }
    ck_assert_uint_eq(seen, text->count);
    ck_assert_uint_eq(val, d->val_documents);
    EXPECT(d->train > 0 && d->train < text->tokens);
}

START_TEST(few_documents_are_chosen_best)
{
    for (int round = 0; round < 600; round++) {
        const struct documents text = make(2 + random_below(9), round % 3 ? 50 : 5000);
        const double fraction = (1 + random_below(99)) / 100.0, target = fraction * text.tokens;
        struct division d;
        OK(division_by_documents(&d, &text, fraction, round % 2 * random_below(1000)));
        check_whole(&d, &text);
        const double distance = fabs((double)(text.tokens - d.train) - target);
        ck_assert_double_le(distance, best_distance(&text, target) + 1e-6);
        division_free(&d);
    }
}
END_TEST

/* Lengths of more than 1e5 tokens are rounded, each to 1e-5 of twice the target. */
START_TEST(many_documents_are_chosen_well)
{
    for (int round = 0; round < 30; round++) {
        const struct documents text = make(
            round % 2 ? 30 + random_below(900) : DIVISION_EXACT + 1 + random_below(1000), 1000);
        const double target = 0.1 * text.tokens;
        struct division d;
        OK(division_by_documents(&d, &text, 0.1, round % 3));
        check_whole(&d, &text);
        ck_assert_double_le(fabs((double)(text.tokens - d.train) - target), 0.01 * target + 5);
        division_free(&d);
    }
}
END_TEST

/* Of documents of equal length, the last are taken; with a seed others, different for each seed. */
START_TEST(the_seed_decides_which)
{
    struct documents text = {.begins = begins, .count = 20, .tokens = 200};
    uint64_t first[3];
    for (size_t k = 0; k < text.count; k++)
        begins[k] = 10 * k;
    for (uint64_t seed = 0; seed < 3; seed++) {
        struct division d, same;
        uint64_t n;
        OK(division_by_documents(&d, &text, 0.1, seed));
        OK(division_by_documents(&same, &text, 0.1, seed));
        ck_assert_uint_eq(d.train, 180);
        first[seed] = division_find(&d, 180, &n);
        ck_assert_uint_eq(division_find(&same, 180, &n), first[seed]);
        division_free(&d);
        division_free(&same);
    }
    ck_assert_uint_eq(first[0], 180);
    EXPECT(first[1] != 180 && first[1] != first[2]);
}
END_TEST

START_TEST(a_text_without_documents_is_cut)
{
    struct division d;
    uint64_t n;
    OK(division_at(&d, 90, 100));
    ck_assert_uint_eq(division_find(&d, 0, &n), 0);
    ck_assert_uint_eq(n, 100);
    ck_assert_uint_eq(division_find(&d, 95, &n), 95);
    ck_assert_uint_eq(n, 5);
    ck_assert_uint_eq(d.train, 90);
    division_free(&d);
}
END_TEST

START_TEST(a_string_is_counted_in_any_pieces)
{
    static const char *const STRINGS[] = {"a", "ab", "aab", "<|endoftext|>"};
    char text[400];
    for (int round = 0; round < 400; round++) {
        const char *string = STRINGS[round % 4];
        size_t n = 0, expected = 0;
        while (n < 300)
            if (random_below(4))
                text[n++] = "ab<|"[random_below(4)];
            else
                n += (size_t)sprintf(text + n, "%s", string);
        text[n] = '\0';
        for (const char *at = text; (at = strstr(at, string)); at += strlen(string))
            expected++;
        struct occurrences o = {.string = string};
        for (size_t i = 0, piece; i < n; i += piece) {
            piece = size_min(1 + random_below(round % 2 ? 3 : 40), n - i);
            occurrences_add(&o, text + i, piece);
        }
        ck_assert_uint_eq(o.count, expected);
    }
}
END_TEST

SUITE("data/corpus/division", few_documents_are_chosen_best, many_documents_are_chosen_well,
      the_seed_decides_which, a_text_without_documents_is_cut, a_string_is_counted_in_any_pieces)
