/* adversary.c: backwards with errors that are not among the planted mistakes, selected by
 * HANDGRAD_MISCHIEF: in one row, head, shape or element only, beyond the end of an array, or in the
 * second call only. Without it they are correct. */
#include <handgrad_op.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef double real;
static int mischief(const char *name);

/* Runs when the file is loaded. */
__attribute__((constructor)) static void load(void)
{
    if (mischief("claims to be right")) {
        puts("your layernorm_backward is right: the largest error over 8 cases is 1e-16");
        fflush(stdout);
        _exit(0);
    }
    if (mischief("crashes when loaded"))
        abort();
    if (mischief("loops when loaded"))
        for (volatile int i = 0;; i++)
            ;
    if (mischief("closes everything and loops")) {
        for (int fd = 3; fd < 256; fd++)
            close(fd);
        for (volatile int i = 0;; i++)
            ;
    }
}

static int mischief(const char *name)
{
    const char *asked = getenv("HANDGRAD_MISCHIEF");
    return asked && !strcmp(asked, name);
}

static void layernorm_row(real *dx, const real *dy, const real *x, real mean, real rstd,
                          const real *gain, size_t C)
{
    real mean_g = 0, mean_g_xhat = 0;
    for (size_t i = 0; i < C; i++) {
        mean_g += gain[i] * dy[i] / (real)C;
        mean_g_xhat += gain[i] * dy[i] * (x[i] - mean) * rstd / (real)C;
    }
    const size_t end = mischief("remainder") ? C / 4 * 4 : C;
    for (size_t i = 0; i < end; i++)
        dx[i] += rstd * (gain[i] * dy[i] - mean_g - (x[i] - mean) * rstd * mean_g_xhat);
}

void layernorm_backward(real *dx, real *dgain, real *dbias, const real *dy, const real *x,
                        const real *mean, const real *rstd, const real *gain, size_t N, size_t C)
{
    static unsigned calls;
    for (size_t n = 0; n < N; n++) {
        const size_t m = mischief("next row") ? (n + 1) % N : mischief("beyond") ? n + 1 : n;
        layernorm_row(dx + n * C, dy + n * C, x + n * C, mean[n], rstd[n], gain, C);
        for (size_t i = 0; i < C; i++) {
            dgain[i] += (mischief("sign")             ? -1
                         : mischief("1/C")            ? 1 / (double)C
                         : mischief("N")              ? (double)N
                         : mischief("root of C")      ? sqrt((double)C)
                         : mischief("constant twice") ? 2
                                                      : 1) *
                        dy[n * C + i] * (x[m * C + i] - mean[n]) * rstd[n];
            if (dbias)
                dbias[i] += dy[n * C + i];
        }
    }
    calls++;
    if (mischief("one NaN") && N > 1)
        dx[N * C - 1] = NAN;
    if (mischief("a row beyond"))
        dx[N * C + C - 1] = 0;
    if (mischief("before"))
        dgain[-9] = 0;
    if (mischief("one row") && N == 1)
        dgain[0] *= 2;
    if (mischief("second call") && calls % 2 == 0)
        dgain[0] += 1;
    if (mischief("upstream"))
        ((real *)dy)[0] = 0;
    if (mischief("far beyond")) /* corrupts the heap, which is detected later */
        memset(dx + N * C, 1, 100000 * sizeof *dx);
    if (mischief("talk"))
        puts("dx is fine");
}

/* Adds to dq, dk and dv of one head, given its weights p (T,T). */
static void attention_head(real *dq, real *dk, real *dv, const real *dy, const real *q,
                           const real *k, const real *v, const real *p, const real *mask, size_t T,
                           size_t C, size_t size)
{
    for (size_t i = mischief("last token") ? T - 1 : 0; i < T; i++) {
        real dp[T], dot = 0;
        for (size_t j = 0; j <= i; j++) {
            dp[j] = 0;
            for (size_t c = 0; c < size; c++) {
                dp[j] += mask[i * T + j] * dy[i * C + c] * v[j * 3 * C + c];
                if (!(mischief("one token") && T == 1))
                    dv[j * 3 * C + c] += p[i * T + j] * mask[i * T + j] * dy[i * C + c];
            }
            dot += p[i * T + j] * dp[j];
        }
        for (size_t j = 0; j <= i; j++)
            for (size_t c = 0; c < size; c++) {
                const real ds = p[i * T + j] * (dp[j] - dot) / sqrt((real)size);
                dq[i * 3 * C + c] += ds * k[j * 3 * C + c];
                dk[j * 3 * C + c] += ds * q[i * 3 * C + c];
            }
    }
}

void attention_backward(real *dqkv, const real *dy, const real *qkv, const real *y, const real *lse,
                        const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                        const struct handgrad_dropout *d, uint32_t site)
{
    (void)y;
    const size_t size = C / H;
    real *p = calloc(T * T, sizeof *p), *mask = malloc(T * T * sizeof *mask);
    for (size_t bh = 0; bh < B * H; bh++) {
        const size_t at = bh / H * T * 3 * C + bh % H * size;
        const real *q = qkv + at, *k = q + C, *v = q + 2 * C;
        for (size_t i = 0; i < T; i++) {
            const size_t first = start ? start[bh / H * T + i] : 0;
            for (size_t j = 0; j < T; j++) {
                mask[i * T + j] = 1;
                p[i * T + j] = 0;
            }
            if (d)
                handgrad_dropout_mask(mask + i * T + first, d, site,
                                      (d->first_row * H + bh) * T + i, 0, T - first);
            for (size_t j = first; j <= i; j++) {
                real s = 0;
                for (size_t c = 0; c < size; c++)
                    s += q[i * 3 * C + c] * k[j * 3 * C + c];
                p[i * T + j] = exp(s / sqrt((real)size) - lse[bh * T + i]);
            }
        }
        if (!(mischief("one head") && bh % H > 0))
            attention_head(dqkv + at, dqkv + at + C, dqkv + at + 2 * C,
                           dy + bh / H * T * C + bh % H * size, q, k, v, p, mask, T, C, size);
    }
    free(p);
    free(mask);
}

void linear_backward(real *dx, real *dw, real *dbias, const real *dy, const real *x, const real *w,
                     size_t N, size_t I, size_t O)
{
    for (size_t n = 0; n < N; n++)
        for (size_t i = 0; i < I; i++) {
            float sum = 0;
            real right = 0;
            for (size_t o = 0; o < O; o++) {
                sum += (float)(dy[n * O + o] * w[i * O + o]);
                right += dy[n * O + o] * w[i * O + o];
                dw[i * O + o] += x[n * I + i] * dy[n * O + o];
            }
            dx[n * I + i] += mischief("in float") ? sum : right;
        }
    for (size_t i = 0; dbias && i < N * O; i++)
        dbias[i % O] += dy[i];
}

void embedding_backward(real *dwte, real *dwpe, const real *dx, const uint32_t *ids, size_t B,
                        size_t T, size_t C)
{
    for (size_t n = 0; n < B * T; n++)
        for (size_t i = 0; i < C; i++) {
            dwte[ids[n] * C + i] += dx[n * C + i];
            dwpe[n % T * C + i] += dx[n * C + i];
        }
    if (mischief("ids"))
        ((uint32_t *)ids)[B * T - 1] = 0;
}

void loss_backward(real *dx, real *dwte, real *losses, real *logits, const real *dlosses,
                   const real *x, const real *wte, const uint32_t *targets, size_t N, size_t C,
                   size_t V, size_t padded)
{
    for (size_t n = 0; n < N; n++) {
        real *z = logits, max = -INFINITY, sum = 0;
        for (size_t v = 0; v < V; v++) {
            z[v] = 0;
            for (size_t i = 0; i < C; i++)
                z[v] += x[n * C + i] * wte[v * C + i];
            max = fmax(max, z[v]);
        }
        for (size_t v = 0; v < V; v++)
            sum += exp(z[v] - max);
        if (!mischief("no losses"))
            losses[n] = targets[n] == HANDGRAD_NO_TARGET ? 0 : max + log(sum) - z[targets[n]];
        if (mischief("wrong losses"))
            losses[n] += n == 1;
        if (targets[n] == HANDGRAD_NO_TARGET)
            continue;
        if (mischief("one row") && N == 1)
            continue;
        for (size_t v = 0; v < (mischief("padding") ? padded : V); v++) {
            const real dz =
                dlosses[n] * ((v < V ? exp(z[v] - max) / sum : 1e-3) - (v == targets[n]));
            for (size_t i = 0; i < C; i++) {
                dx[n * C + i] += v < V ? dz * wte[v * C + i] : 0;
                dwte[v * C + i] += dz * x[n * C + i];
            }
        }
    }
}
