/* peak.c: see peak.h. */
#include "peak.h"
#include "../model/gemm.h"
#include "log.h"
#include <stdlib.h>

double step_flops(const struct model_config *c, size_t B, size_t T)
{
    const double N = (double)B * (double)T, C = (double)c->n_embd;
    const double block = 12 * C * C;                      /* c_attn 3, c_proj 1, mlp 8 */
    const double attention = 2 * C * (double)(T + 1) / 2; /* q . k and p v over (T+1)/2 keys on average */
    const double forward = (double)c->n_layer * (block + attention) + C * (double)c->vocab_size; /* multiply-adds a token */
    return 3 * 2 * N * forward;
}

double product_rate(void)
{
    enum { SIZE = 1024, RUNS = 5 };
    real *m = malloc(3 * SIZE * SIZE * sizeof *m);
    if (!m)
        return 0;
    for (size_t i = 0; i < 3 * SIZE * SIZE; i++)
        m[i] = (real)(i % 7);
    double best = 0;
    for (int run = 0; run < RUNS; run++) {
        const double start = seconds();
        gemm(N_, N_, SIZE, SIZE, SIZE, 1, m, SIZE, m + SIZE * SIZE, SIZE, 0, m + 2 * SIZE * SIZE, SIZE);
        const double rate = 2.0 * SIZE * SIZE * SIZE / (seconds() - start);
        best = rate > best ? rate : best;
    }
    free(m);
    return best;
}
