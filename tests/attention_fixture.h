/* attention_fixture.h: shared by the tests of attention: the arrays of one call, and shapes. T lies
 * on both sides of the edges of key blocks (64) and query strips (128). Heads are narrower than one
 * vector, as wide as several, and wider than a piece (256 floats). */
#pragma once

#include "model/attention.h"
#include "tests/numbers.h"

enum { SITE = 5 };
static const struct dropout dropout = {.p = 0.3, .seed = 7, .step = 3, .first_row = 5};

static const struct shape {
    size_t B, T, C, H;
} shapes[] = {{1, 1, 4, 1},    {2, 1, 3, 3},     {1, 15, 8, 2},   {2, 16, 6, 2},  {1, 17, 5, 1},
              {1, 63, 9, 3},   {2, 64, 7, 7},    {1, 65, 8, 1},   {1, 129, 3, 1}, {1, 130, 66, 2},
              {2, 200, 24, 3}, {1, 197, 150, 1}, {1, 130, 300, 1}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* The arrays of one call: inputs, outputs, gradients. */
struct attention {
    struct shape s;
    const struct dropout *drop;
    real *qkv, *y, *lse, *dy, *dqkv;
    const uint32_t *start; /* (B,T), or NULL */
};

static inline struct attention attention(const struct shape *s, const struct dropout *drop)
{
    const size_t N = s->B * s->T;
    return (struct attention){*s,
                              drop,
                              random_array(N * 3 * s->C, 1.7, 1),
                              zeros(N * s->C),
                              zeros(N * s->H),
                              random_array(N * s->C, 1, 2),
                              zeros(N * 3 * s->C),
                              NULL};
}

static inline void free_attention(struct attention *a)
{
    free(a->qkv);
    free(a->y);
    free(a->lse);
    free(a->dy);
    free(a->dqkv);
}

static inline void forward(struct attention *a)
{
    attention_forward(a->y, a->lse, a->qkv, a->start, a->s.B, a->s.T, a->s.C, a->s.H, a->drop,
                      SITE);
}

static inline void backward(struct attention *a)
{
    attention_backward(a->dqkv, a->dy, a->qkv, a->y, a->lse, a->start, a->s.B, a->s.T, a->s.C,
                       a->s.H, a->drop, SITE);
}

/* Whether y and lse of both have the same bits before token t, in every sequence and head. */
static inline int same_before(const struct attention *a, const struct attention *b, size_t t)
{
    int same = 1;
    for (size_t s = 0; s < a->s.B; s++)
        same &= same_bits(a->y + s * a->s.T * a->s.C, b->y + s * a->s.T * a->s.C, t * a->s.C);
    for (size_t h = 0; h < a->s.B * a->s.H; h++)
        same &= same_bits(a->lse + h * a->s.T, b->lse + h * a->s.T, t);
    return same;
}

/* Draws start (B,T), with documents of all lengths: single tokens, whole rows, and documents that
 * begin at the edges of blocks and strips. */
static inline uint32_t *draw_start(const struct shape *s, uint64_t seed)
{
    uint32_t *start = malloc(s->B * s->T * sizeof *start);
    const double rate = seed % 4 == 0 ? 0.5 : seed % 4 == 1 ? 0.05 : seed % 4 == 2 ? 0.01 : 0;
    for (size_t n = 0; n < s->B * s->T; n++) {
        const size_t t = n % s->T;
        const bool begins = t == 0 || fabs(uniform(seed, n)) < rate ||
                            (seed % 4 == 3 && (t == 64 || t == 128 || t == 65));
        start[n] = begins ? (uint32_t)t : start[n - 1];
    }
    return start;
}
