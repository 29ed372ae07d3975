/* embedding.c: x[b,t] = wte[id(b,t)] + wpe[t].
 *
 * Each row of x copies one row of each table, so each row of dx is added to one row of each:
 *
 *     dwte[v] += sum over (b,t) with id(b,t) = v of dx[b,t]
 *     dwpe[t] += sum over b of dx[b,t]
 *
 * A token that occurs twice adds twice, and the output layer adds into the same dwte (it is tied): an assignment here loses both.
 *
 * Several (b,t) add into one row of dwte, so threads share out the columns, not the tokens: no two write the same element, and
 * the order of each sum is that of the tokens.
 *
 * In more steps: docs/derivations.md#embedding
 */
#include "model/embedding.h"
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
        const size_t i1 = i0 + STRIP < C ? i0 + STRIP : C;
        for (size_t n = 0; n < B * T; n++) {
            real *dtoken = dwte + ids[n] * C, *dposition = dwpe + n % T * C;
            for (size_t i = i0; i < i1; i++) {
                dtoken[i] += dx[n * C + i];
                dposition[i] += dx[n * C + i];
            }
        }
    }
}
