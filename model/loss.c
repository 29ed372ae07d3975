/* loss.c: the logits z = x wte^T with the matrix of the embedding (Press and Wolf 2017,
 * arXiv:1608.05859), and the cross-entropy
 *
 *     loss_n = lse_n - z_n,target(n),   lse_n = log sum_v exp(z_nv)      over v < V
 *
 * With p_nv = exp(z_nv - lse_n) = exp(z_nv - m_n) / sum_v exp(z_nv - m_n), m_n the largest logit:
 *
 *     dz_nv = dloss_n (p_nv - [v = target(n)])
 *     dx   += dz wte
 *     dwte += dz^T x              into the same array as the embedding's gradient
 *
 * The logits (N,V) would be the largest array of a small model. They are therefore computed for one
 * chunk of tokens at a time, overwritten with dz, and used for dx and dwte before the next chunk.
 * This is possible because dloss_n does not depend on any loss: forward and backward of a chunk are
 * one pass.
 *
 * Rows of wte from V on (padding) have dz = 0, and their logits are not used. Tokens without a
 * target have dz = 0 too.
 *
 * Step by step: docs/derivations.md#loss
 */
#include "model/loss.h"
#include "base/minmax.h"
#include "model/gemm/gemm.h"
#include "model/real.h"

/* Each chunk reads wte twice and reads and writes dwte once, which takes as long as the arithmetic
 * of about 20 rows. 128 MB hold 667 rows of GPT-2's logits in float. All chunks have nearly the
 * same length, as close to that size as possible: a short one would read all of wte for a few
 * rows. */
enum { CHUNK_BYTES = 1 << 27, CHUNK_MIN = 128 };

size_t loss_chunk(size_t N, size_t padded)
{
    const size_t chunk = size_max(CHUNK_BYTES / sizeof(real) / padded, CHUNK_MIN),
                 chunks = (N + chunk / 2) / chunk;
    return chunks > 1 ? ceil_div(N, chunks) : N;
}

/* Replaces a row of logits by exp(z - m), where m is the largest, and sums them. Returns m. */
static real exponentials(real *z, size_t V, real *sum)
{
    __typeof__(real_part(z[0])) m = real_part(z[0]);
#pragma omp simd reduction(max : m)
    for (size_t v = 1; v < V; v++)
        m = real_part(z[v]) > m ? real_part(z[v]) : m;
    acc total = 0;
#pragma omp simd reduction(+ : total)
    for (size_t v = 0; v < V; v++) {
        z[v] = real_exp(z[v] - m);
        total += z[v];
    }
    *sum = (real)total;
    return m;
}

/* Replaces the exponentials of a row by dz. */
static void row_backward(real *z, real sum, real dloss, uint32_t target, size_t V, size_t padded)
{
    const real share = dloss / sum;
#pragma omp simd
    for (size_t v = 0; v < V; v++)
        z[v] *= share;
    z[target] -= dloss;
    for (size_t v = V; v < padded; v++)
        z[v] = 0;
}

/* The forward; with dlosses, also the backward. */
static void loss_pass(real *dx, real *dwte, real *losses, real *logits, const real *dlosses,
                      const real *x, const real *wte, const uint32_t *targets, size_t N, size_t C,
                      size_t V, size_t padded)
{
    const size_t chunk = loss_chunk(N, padded);
    for (size_t n0 = 0; n0 < N; n0 += chunk) {
        const size_t rows = size_min(N - n0, chunk);
        gemm(N_, T_, rows, padded, C, 1, x + n0 * C, C, wte, C, 0, logits, padded);
#pragma omp parallel for
        for (size_t r = 0; r < rows; r++) {
            real *z = logits + r * padded;
            const size_t n = n0 + r;
            if (targets[n] == NO_TARGET) {
                losses[n] = 0;
                for (size_t v = 0; dlosses && v < padded; v++)
                    z[v] = 0;
                continue;
            }
            ASSERT(targets[n] < V);
            const real own = z[targets[n]];
            real sum;
            const real m = exponentials(z, V, &sum);
            losses[n] = real_log(sum) + (m - own);
            if (dlosses)
                row_backward(z, sum, dlosses[n], targets[n], V, padded);
        }
        if (dlosses)
            gemm_products(
                (struct product[]){
                    {N_, N_, rows, C, padded, 1, logits, padded, wte, C, 1, dx + n0 * C, C},
                    {T_, N_, padded, C, rows, 1, logits, padded, x + n0 * C, C, 1, dwte, C}},
                2);
    }
}

void loss_forward(real *losses, real *logits, const real *x, const real *wte,
                  const uint32_t *targets, size_t N, size_t C, size_t V, size_t padded)
{
    loss_pass(NULL, NULL, losses, logits, NULL, x, wte, targets, N, C, V, padded);
}

void loss_backward(real *dx, real *dwte, real *losses, real *logits, const real *dlosses,
                   const real *x, const real *wte, const uint32_t *targets, size_t N, size_t C,
                   size_t V, size_t padded)
{
    loss_pass(dx, dwte, losses, logits, dlosses, x, wte, targets, N, C, V, padded);
}
