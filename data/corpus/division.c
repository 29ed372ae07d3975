/* division.c: see division.h. The best choice of few documents is a subset-sum problem, solved by
 * dynamic programming over sums (Bellman 1957). */
#include "data/corpus/division.h"
#include "base/minmax.h"
#include "data/window.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { SUMS = 100000 /* distinguished by the dynamic programme */ };

struct choice {
    const struct documents *text;
    uint64_t seed;
    double target; /* tokens */
    bool *chosen;  /* (count) */
};

static uint64_t length(const struct documents *d, size_t k)
{
    return (k + 1 < d->count ? d->begins[k + 1] : d->tokens) - d->begins[k];
}

/* The i-th document to consider: from the end, or in the order of the seed. */
static size_t in_order(const struct choice *c, size_t i)
{
    const size_t n = c->text->count;
    return c->seed ? permute(c->seed * 0x9E3779B97F4A7C15, n, i) : n - 1 - i;
}

static size_t shortest(const struct choice *c)
{
    size_t best = in_order(c, 0);
    for (size_t i = 1; i < c->text->count; i++)
        if (length(c->text, in_order(c, i)) < length(c->text, best))
            best = in_order(c, i);
    return best;
}

/* Takes each document that brings the sum nearer, but not the last that is left. */
static void choose_greedily(const struct choice *c)
{
    double sum = 0;
    size_t taken = 0;
    for (size_t i = 0; i < c->text->count && taken + 1 < c->text->count; i++) {
        const size_t k = in_order(c, i);
        const double with = sum + length(c->text, k);
        if (fabs(with - c->target) < fabs(sum - c->target)) {
            c->chosen[k] = true;
            sum = with;
            taken++;
        }
    }
    if (!taken)
        c->chosen[shortest(c)] = true;
}

/* The sums in units of `unit` tokens. reached[s] is 1 + the first i at which some of the documents
 * in_order 0 ... i add up to s; in_order(i) is one of these. */
struct sums {
    uint64_t unit, max;
    uint64_t size[DIVISION_EXACT]; /* of in_order(i) */
    uint16_t *reached;             /* (max + 1) */
};

static int find_sums(struct sums *s, const struct choice *c)
{
    const size_t n = c->text->count;
    uint64_t all = 0, least = UINT64_MAX;
    s->unit = ceil_div((uint64_t)(2 * c->target) + 1, SUMS);
    for (size_t i = 0; i < n; i++) {
        s->size[i] = llround((double)length(c->text, in_order(c, i)) / s->unit);
        all += s->size[i];
        least = size_min(least, s->size[i]);
    }
    s->max =
        size_min(size_max(ceil(2 * c->target / s->unit), least), all - 1); /* not all documents */
    if (!(s->reached = calloc(s->max + 1, sizeof *s->reached)))
        return -1;
    for (size_t i = 0; i < n; i++)
        for (uint64_t sum = s->max; s->size[i] > 0 && sum >= s->size[i]; sum--)
            if (!s->reached[sum] && (sum == s->size[i] || s->reached[sum - s->size[i]]))
                s->reached[sum] = i + 1;
    return 0;
}

static double distance(const struct sums *s, const struct choice *c, uint64_t sum)
{
    return fabs((double)sum * s->unit - c->target);
}

static int choose_best(const struct choice *c)
{
    struct sums s;
    uint64_t best = 0;
    if (find_sums(&s, c))
        return -1;
    for (uint64_t sum = 1; sum <= s.max; sum++)
        if (s.reached[sum] && (!best || distance(&s, c, sum) < distance(&s, c, best)))
            best = sum;
    for (size_t i; best > 0; best -= s.size[i]) {
        i = s.reached[best] - 1;
        c->chosen[in_order(c, i)] = true;
    }
    free(s.reached);
    return 0;
}

/* Lists the documents of the training split, then the others; neighbours share a part. */
static int list_parts(struct division *d, const struct choice *c)
{
    const struct documents *text = c->text;
    uint64_t first = 0;
    if (!(d->parts = malloc((text->count + 1) * sizeof *d->parts)))
        return -1;
    for (int val = 0; val < 2; val++)
        for (size_t k = 0; k < text->count; k++) {
            if (c->chosen[k] != val)
                continue;
            if (k == 0 || c->chosen[k - 1] != val)
                d->parts[d->n++] = (struct division_part){first, text->begins[k]};
            first += length(text, k);
            if (val)
                d->val_documents++;
            else
                d->train = first;
        }
    d->parts[d->n].first = first;
    return 0;
}

int division_by_documents(struct division *d, const struct documents *text, double fraction,
                          uint64_t seed)
{
    const struct choice c = {.text = text,
                             .seed = seed,
                             .target = fraction * text->tokens,
                             .chosen = calloc(text->count, sizeof *c.chosen)};
    int status = c.chosen ? 0 : -1;
    *d = (struct division){0};
    if (!status && text->count > DIVISION_EXACT)
        choose_greedily(&c);
    else if (!status)
        status = choose_best(&c);
    if (!status)
        status = list_parts(d, &c);
    free(c.chosen);
    return status;
}

int division_at(struct division *d, uint64_t train, uint64_t tokens)
{
    *d = (struct division){.parts = calloc(2, sizeof *d->parts), .n = 1, .train = train};
    if (d->parts)
        d->parts[1].first = tokens;
    return d->parts ? 0 : -1;
}

void division_free(struct division *d)
{
    free(d->parts);
    *d = (struct division){0};
}

uint64_t division_find(const struct division *d, uint64_t first, uint64_t *length)
{
    size_t low = 0, high = d->n;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (d->parts[middle].first <= first)
            low = middle;
        else
            high = middle;
    }
    *length = d->parts[low + 1].first - first;
    return d->parts[low].begin + first - d->parts[low].first;
}
