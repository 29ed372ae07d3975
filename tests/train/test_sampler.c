/* test_sampler.c: the sampler draws what a search in the cumulative distribution of the sorted
 * vocabulary draws.
 *
 *   property                            tolerance
 *   the token, for any top_k, top_p,    its interval of the sorted distribution contains one number
 *   temperature and ties                per seed and position, within 1e-12
 *   temperature 0                       the first of the largest
 *   frequencies over many positions     5 standard deviations
 */
#include "tests/numbers.h"
#include "train/sampler.h"

enum { PINNED_DRAW = 154, V = 301, DRAWS = 20000 };

static const float *sorted_by;
static int descending(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return sorted_by[x] != sorted_by[y] ? (sorted_by[x] > sorted_by[y] ? -1 : 1) : x < y ? -1 : 1;
}

/* The interval [low, high) of random numbers that draw token `id` from the first n of the sorted
 * candidates. Returns n. */
static size_t interval(const struct sampler *s, const float *logits, uint32_t id, double *low,
                       double *high)
{
    uint32_t order[V];
    double w[V], total = 0, kept = 0, sum = 0;
    for (uint32_t i = 0; i < V; i++)
        order[i] = i;
    sorted_by = logits;
    qsort(order, V, sizeof *order, descending);
    const size_t k = s->top_k && s->top_k < V ? s->top_k : V;
    for (size_t i = 0; i < k; i++)
        total += w[i] = exp(((double)logits[order[i]] - (double)logits[order[0]]) / s->temperature);
    size_t n = 0;
    while (n < k && (n == 0 || kept < s->top_p * total))
        kept += w[n++];
    *low = *high = -1;
    for (size_t i = 0; i < n; i++) {
        if (order[i] == id) {
            *low = sum / kept;
            *high = (sum + w[i]) / kept;
        }
        sum += w[i];
    }
    return n;
}

static void draw_logits(float *logits, uint32_t stream)
{
    for (size_t i = 0; i < V; i++)
        logits[i] = (float)(floor(12 * uniform(stream, i)) / 2); /* many are equal */
}

START_TEST(draws_match_the_sorted_distribution)
{
    const double ps[] = {1, 0.9, 0.5, 1e-9, 0}, temperatures[] = {0.1, 0.8, 1, 3};
    const size_t ks[] = {0, 1, 2, 40, V - 1, V, 1000};
    struct sampler s;
    ck_assert_int_eq(sampler_create(&s, V), 0);
    s.seed = 3;
    for (uint64_t position = 0; position < 40; position++) {
        double low = 0, high = 1; /* the position's random number is in here */
        for (size_t c = 0; c < 5 * 7 * 4; c++) {
            float logits[V];
            draw_logits(logits, (uint32_t)(position * 200 + c));
            s.top_p = ps[c % 5], s.top_k = ks[c / 5 % 7], s.temperature = temperatures[c / 35];
            const uint32_t id = sampler_next(&s, logits, position);
            double from, to;
            interval(&s, logits, id, &from, &to);
            require(to > 0, "top_k %zu, top_p %g: token %u is cut off", s.top_k, s.top_p, id);
            low = fmax(low, from);
            high = fmin(high, to);
            require(low <= high + 1e-12,
                    "position %zu, top_k %zu, top_p %g, temperature %g: token %u does not "
                    "match the random number",
                    (size_t)position, s.top_k, s.top_p, s.temperature, id);
        }
        require(high - low < 0.1, "position %zu: the test is too weak", (size_t)position);
    }
    sampler_destroy(&s);
}
END_TEST

START_TEST(zero_temperature_draws_the_first_of_the_largest)
{
    struct sampler s;
    ck_assert_int_eq(sampler_create(&s, V), 0);
    s.temperature = 0;
    float logits[V] = {0};
    logits[17] = logits[200] = 3;
    ck_assert_uint_eq(sampler_next(&s, logits, 0), 17);
    sampler_destroy(&s);
}
END_TEST

START_TEST(frequencies_match_the_probabilities)
{
    struct sampler s;
    ck_assert_int_eq(sampler_create(&s, 4), 0);
    const float logits[4] = {0, 1, -1, 0.5f};
    size_t count[4] = {0};
    double total = 0;
    for (uint64_t i = 0; i < DRAWS; i++)
        count[sampler_next(&s, logits, i)]++;
    for (size_t v = 0; v < 4; v++)
        total += exp((double)logits[v]);
    for (size_t v = 0; v < 4; v++) {
        const double p = exp((double)logits[v]) / total;
        require_within(fabs((double)count[v] - p * DRAWS), 5 * sqrt(p * (1 - p) * DRAWS),
                       "symbol %zu", v);
    }
    sampler_destroy(&s);
}
END_TEST

/* Every bit of the seed and of the position matters; a pinned draw. */
START_TEST(seeds_and_positions_differ_in_every_bit)
{
    float logits[V];
    struct sampler s;
    draw_logits(logits, 9);
    ck_assert_int_eq(sampler_create(&s, V), 0);
    s.temperature = 3;
    s.top_p = 1;
    for (int bit = 0; bit < 64; bit++) {
        int seeds = 0, positions = 0;
        for (uint64_t i = 0; i < 40; i++) {
            s.seed = 5;
            const uint32_t id = sampler_next(&s, logits, i);
            positions += sampler_next(&s, logits, i ^ (uint64_t)1 << bit) != id;
            s.seed ^= (uint64_t)1 << bit;
            seeds += sampler_next(&s, logits, i) != id;
        }
        ck_assert_msg(seeds > 20 && positions > 20, "bit %d: %d, %d of 40 differ", bit, seeds,
                      positions);
    }
    s.seed = 1337;
    ck_assert_uint_eq(sampler_next(&s, logits, 1), PINNED_DRAW);
    sampler_destroy(&s);
}
END_TEST

SUITE("sampler", draws_match_the_sorted_distribution,
      zero_temperature_draws_the_first_of_the_largest, frequencies_match_the_probabilities,
      seeds_and_positions_differ_in_every_bit)
