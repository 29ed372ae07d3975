/* dropout.h: dropout, forward and backward. Masks are recomputed, not stored. */
#pragma once

#include "model/real.h"
#include <stdbool.h>

#define dropout_mask     NAME(dropout_mask)
#define dropout_forward  NAME(dropout_forward)
#define dropout_backward NAME(dropout_backward)

/* The address of a mask's random bits, together with site, row and column. A NULL pointer or p = 0
 * means no dropout. */
struct dropout {
    double p;           /* probability of a zero, in [0, 1) */
    uint64_t seed;      /* of the run */
    uint64_t step;      /* of the optimiser: every step has other masks */
    uint64_t first_row; /* sequences of this step before this micro-batch, so that accumulation
                           draws the masks that one large batch would */
};

/* The place of a mask in the model: 4 * layer + one of these. */
enum dropout_site { DROP_EMBEDDING, DROP_ATTENTION, DROP_ATTENTION_OUTPUT, DROP_MLP_OUTPUT };

static inline bool dropout_active(const struct dropout *d)
{
    return d && d->p > 0;
}

/* mask (n): 0 with probability p, otherwise 1/(1-p), for columns [column, column + n) of a row;
 * column is a multiple of 4. */
void dropout_mask(real *mask, const struct dropout *d, uint32_t site, uint64_t row, size_t column,
                  size_t n);

/* y (N,C) = x * mask. Row n of y uses row first_row * T + n of the mask; T is the length of a
 * sequence. y may be x. */
void dropout_forward(real *y, const real *x, size_t N, size_t T, size_t C, const struct dropout *d,
                     uint32_t site);

/* Adds dy * mask into dx (N,C). */
void dropout_backward(real *dx, const real *dy, size_t N, size_t T, size_t C,
                      const struct dropout *d, uint32_t site);
