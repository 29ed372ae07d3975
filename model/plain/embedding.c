/* embedding.c: x[b,t] = wte[id(b,t)] + wpe[first + t]. */
#include "model/embedding.h"

void embedding_forward(real *x, const uint32_t *ids, const real *wte, const real *wpe, size_t first,
                       size_t B, size_t T, size_t C)
{
    for (size_t n = 0; n < B * T; n++) {
        const size_t t = first + n % T;
        for (size_t i = 0; i < C; i++)
            x[n * C + i] = wte[ids[n] * C + i] + wpe[t * C + i];
    }
}

/* --- backward --- */

void embedding_backward(real *dwte, real *dwpe, const real *dx, const uint32_t *ids, size_t B,
                        size_t T, size_t C)
{
    for (size_t n = 0; n < B * T; n++) {
        const size_t t = n % T;
        for (size_t i = 0; i < C; i++) {
            dwte[ids[n] * C + i] += dx[n * C + i];
            dwpe[t * C + i] += dx[n * C + i];
        }
    }
}
