/* attention_strip.h: attention for a strip of queries. */
#ifndef ATTENTION_STRIP_H
#define ATTENTION_STRIP_H

#include "model/dropout.h"
#include "model/real.h"
#include <stdbool.h>

#define attention_strip NAME(attention_strip)

enum { ATTENTION_STRIP = 128 }; /* queries */

/* One head in one document of T tokens. Rows of q, k, v and their gradients are ld = 3C apart, rows
 * of y and dy C apart. */
struct attention_head {
    const real *q, *k, *v, *dy; /* dy NULL: forward */
    real *y, *lse, *dq, *dk, *dv;
    size_t T, C, ld, d;
    real scale;
    const struct dropout *drop;
    uint32_t site;
    uint64_t first_row; /* of the dropout mask */
    bool set;           /* overwrites dq, dk and dv instead of adding */
};

/* Computes the strip of queries from i0, a multiple of ATTENTION_STRIP, with all keys that they
 * see. Forward: sets y and lse of these queries. Backward: adds into (or sets) dq of these queries,
 * dk and dv of those keys. */
void attention_strip(const struct attention_head *h, size_t i0);

#endif
