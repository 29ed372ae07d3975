/* loss.c: losses[n] = -log p[n][target], with p the softmax of the logits z = x wte^T over the V
 * symbols.
 *
 *     dz[v] = dlosses[n] (p[v] - [v = target])
 */
#include "model/loss.h"

/* The logits z (padded) of a row x (C); returns log sum_v exp(z[v]), which for the largest logit m
 * is m + log sum_v exp(z[v] - m). */
static real row_logits(real *z, const real *x, const real *wte, size_t C, size_t V, size_t padded)
{
    for (size_t v = 0; v < padded; v++) {
        acc dot = 0;
        for (size_t i = 0; i < C; i++)
            dot += x[i] * wte[v * C + i];
        z[v] = dot;
    }
    real m = z[0];
    acc sum = 0;
    for (size_t v = 0; v < V; v++)
        if (real_part(z[v]) > real_part(m))
            m = z[v];
    for (size_t v = 0; v < V; v++)
        sum += real_exp(z[v] - m);
    return m + real_log(sum);
}

void loss_forward(real *losses, real *logits, const real *x, const real *wte,
                  const uint32_t *targets, size_t N, size_t C, size_t V, size_t padded)
{
    for (size_t n = 0; n < N; n++) {
        const real lse = row_logits(logits, x + n * C, wte, C, V, padded);
        losses[n] = targets[n] == NO_TARGET ? 0 : lse - logits[targets[n]];
    }
}

/* --- backward --- */

void loss_backward(real *dx, real *dwte, real *losses, real *logits, const real *dlosses,
                   const real *x, const real *wte, const uint32_t *targets, size_t N, size_t C,
                   size_t V, size_t padded)
{
    for (size_t n = 0; n < N; n++) {
        const real lse = row_logits(logits, x + n * C, wte, C, V, padded);
        losses[n] = targets[n] == NO_TARGET ? 0 : lse - logits[targets[n]];
        if (targets[n] == NO_TARGET)
            continue;
        for (size_t v = 0; v < V; v++) {
            const real p = real_exp(logits[v] - lse);
            const real dz = dlosses[n] * (p - (v == targets[n]));
            for (size_t i = 0; i < C; i++) {
                dx[n * C + i] += dz * wte[v * C + i];
                dwte[v * C + i] += dz * x[n * C + i];
            }
        }
    }
}
