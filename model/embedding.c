/* embedding.c: x[b,t] = wte[id(b,t)] + wpe[t].
 *
 * Each row of x is the sum of one row of each table, so each row of dx is added to both:
 *
 *     dwte[v] += sum over (b,t) with id(b,t) = v of dx[b,t]
 *     dwpe[t] += sum over b of dx[b,t]
 *
 * A token that occurs twice adds twice, and the tied output layer adds into the same dwte: an
 * assignment instead of an addition would lose both.
 *
 * Several (b,t) add into the same row of dwte, so each thread takes a strip of columns and all
 * tokens. No two threads write the same element, and each sum is in the order of the tokens.
 *
 * Step by step: docs/derivations.md#embedding
 */
#include "model/embedding.h"
#include "base/minmax.h"
#include "model/real.h"

enum { STRIP = 64 }; /* columns */

void embedding_forward(real *x, const uint32_t *ids, const real *wte, const real *wpe, size_t first,
                       size_t B, size_t T, size_t C)
{
#pragma omp parallel for
    for (size_t n = 0; n < B * T; n++) {
        const real *token = wte + ids[n] * C, *position = wpe + (first + n % T) * C;
        for (size_t i = 0; i < C; i++)
            x[n * C + i] = token[i] + position[i];
    }
}

void embedding_backward(real *dwte, real *dwpe, const real *dx, const uint32_t *ids, size_t B,
                        size_t T, size_t C)
{
#pragma omp parallel for
    for (size_t i0 = 0; i0 < C; i0 += STRIP) {
        const size_t i1 = size_min(C, i0 + STRIP);
        for (size_t n = 0; n < B * T; n++) {
            real *dtoken = dwte + ids[n] * C, *dposition = dwpe + n % T * C;
            for (size_t i = i0; i < i1; i++) {
                dtoken[i] += dx[n * C + i];
                dposition[i] += dx[n * C + i];
            }
        }
    }
}
