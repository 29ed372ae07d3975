/* test_loss.c: the output layer and its cross-entropy, compared with a straightforward
 * log-softmax in double, in one chunk and in several. Built for float and for double.
 *
 *   property                             tolerance, in roundings
 *   each loss against double             (C + 16) times the size of the logits, + V in double: a
 *                                        logit is a sum of C products; the sum over V is computed
 *                                        in double and adds no error to float
 *   dx, dwte against double              the same for p, norm-wise
 *   contents of the padding rows of wte  losses, dx and dwte have the same bits; the gradient of
 *                                        the padding is zero
 *   losses of the backward               the same bits as those of the forward
 *   logits of +-10^4                     finite losses; log V if all logits are equal
 *   1, 2, 3, 5 threads                   the same bits
 */
#include "model/loss.h"
#include "tests/numbers.h"

static const struct shape {
    size_t N, C, V, padded;
} shapes[] = {{1, 1, 1, 1},     {1, 5, 2, 2},       {7, 3, 65, 65},
              {40, 16, 65, 80}, {130, 8, 300, 304}, {385, 3, 262000, 262144}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

struct loss {
    struct shape s;
    real *x, *wte, *losses, *logits, *dlosses, *dx, *dwte;
    uint32_t *targets;
};

static struct loss loss(const struct shape *s)
{
    struct loss l = {*s,
                     random_array(s->N * s->C, 1, 1),
                     random_array(s->padded * s->C, 1, 2),
                     zeros(s->N),
                     zeros(loss_chunk(s->N, s->padded) * s->padded),
                     random_array(s->N, 1, 3),
                     zeros(s->N * s->C),
                     zeros(s->padded * s->C),
                     calloc(s->N, sizeof(uint32_t))};
    for (size_t n = 0; n < s->N; n++) /* the last symbol, the first, and others */
        l.targets[n] = (uint32_t)(n == 0   ? s->V - 1
                                  : n == 1 ? 0
                                           : (size_t)((uniform(4, n) + 1) / 2 * (double)s->V));
    return l;
}

static void free_loss(struct loss *l)
{
    real *all[] = {l->x, l->wte, l->losses, l->logits, l->dlosses, l->dx, l->dwte};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(l->targets);
}

static void forward(struct loss *l)
{
    loss_forward(l->losses, l->logits, l->x, l->wte, l->targets, l->s.N, l->s.C, l->s.V,
                 l->s.padded);
}

static void backward(struct loss *l)
{
    loss_backward(l->dx, l->dwte, l->losses, l->logits, l->dlosses, l->x, l->wte, l->targets,
                  l->s.N, l->s.C, l->s.V, l->s.padded);
}

/* One token by the definition: returns its loss and adds to dx (C) and dwte (V,C). p (V) is
 * scratch. */
static double reference_token(double *dx, double *dwte, double *p, const struct loss *l, size_t n)
{
    const size_t C = l->s.C, V = l->s.V, target = l->targets[n];
    double sum = 0;
    for (size_t v = 0; v < V; v++) {
        p[v] = 0;
        for (size_t c = 0; c < C; c++)
            p[v] += (double)l->x[n * C + c] * (double)l->wte[v * C + c];
    }
    const double z = p[target];
    for (size_t v = 0; v < V; v++)
        sum += p[v] = exp(p[v]); /* logits are of size 1 here */
    for (size_t v = 0; v < V; v++) {
        const double dz = (double)l->dlosses[n] * (p[v] / sum - (v == target));
        for (size_t c = 0; c < C; c++) {
            dx[c] += dz * (double)l->wte[v * C + c];
            dwte[v * C + c] += dz * (double)l->x[n * C + c];
        }
    }
    return log(sum) - z;
}

static void round_into(real *y, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (real)x[i];
}

static void check_shape(const struct shape *s)
{
    struct loss l = loss(s);
    double *p = calloc(s->V, sizeof *p), *dx = calloc(s->N * s->C, sizeof *dx),
           *dwte = calloc(s->padded * s->C, sizeof *dwte);
    real *rounded = zeros((s->N > s->padded ? s->N : s->padded) * s->C), *before = zeros(s->N);
    const double tolerance =
        (double)((s->C + 16) * s->C + s->V * (sizeof(real) == sizeof(double))) * ROUNDOFF;
    forward(&l);
    memcpy(before, l.losses, s->N * sizeof(real));
    backward(&l);
    require(same_bits(before, l.losses, s->N), "V %zu: losses of forward and backward differ",
            s->V);
    for (size_t n = 0; n < s->N; n++)
        require_within(fabs((double)l.losses[n] - reference_token(dx + n * s->C, dwte, p, &l, n)),
                       tolerance, "V %zu: loss %zu", s->V, n);
    round_into(rounded, dx, s->N * s->C);
    require_within(error_of(l.dx, rounded, s->N * s->C), tolerance, "V %zu: dx", s->V);
    round_into(rounded, dwte, s->padded * s->C);
    require_within(error_of(l.dwte, rounded, s->padded * s->C), tolerance, "V %zu: dwte", s->V);
    for (size_t i = s->V * s->C; i < s->padded * s->C; i++)
        require(l.dwte[i] == 0, "V %zu: the gradient of the padding is not zero", s->V);
    free(p);
    free(dx);
    free(dwte);
    free(rounded);
    free(before);
    free_loss(&l);
}

START_TEST(equals_its_definition)
{
    ck_assert_uint_eq(loss_chunk(385, 262144), 129); /* three chunks, the last one shorter */
    for (size_t k = 0; k < SHAPES; k++)
        check_shape(&shapes[k]);
}
END_TEST

START_TEST(adds_and_is_linear_in_dlosses)
{
    struct loss once = loss(&shapes[3]), twice = loss(&shapes[3]);
    const size_t N = once.s.N, C = once.s.C, padded = once.s.padded;
    backward(&once);
    for (size_t n = 0; n < N; n++)
        twice.dlosses[n] /= 2;
    backward(&twice);
    backward(&twice);
    require_within(error_of(twice.dx, once.dx, N * C), 8 * ROUNDOFF, "dx");
    require_within(error_of(twice.dwte, once.dwte, padded * C), 8 * ROUNDOFF, "dwte");
    struct loss none = loss(&shapes[3]);
    memset(none.dlosses, 0, N * sizeof(real));
    backward(&none);
    for (size_t i = 0; i < N * C; i++)
        require(none.dx[i] == 0, "dx is not zero although dlosses is");
    free_loss(&once);
    free_loss(&twice);
    free_loss(&none);
}
END_TEST

START_TEST(padding_is_ignored)
{
    struct loss clean = loss(&shapes[3]), dirty = loss(&shapes[3]);
    const size_t N = clean.s.N, C = clean.s.C, V = clean.s.V, padded = clean.s.padded;
    memset(clean.wte + V * C, 0, (padded - V) * C * sizeof(real));
    fill(dirty.wte + V * C, (padded - V) * C, 1e6, 9);
    backward(&clean);
    backward(&dirty);
    require(same_bits(clean.losses, dirty.losses, N), "losses");
    require(same_bits(clean.dx, dirty.dx, N * C), "dx");
    require(same_bits(clean.dwte, dirty.dwte, padded * C), "dwte");
    free_loss(&clean);
    free_loss(&dirty);
}
END_TEST

START_TEST(huge_logits)
{
    struct loss l = loss(&shapes[4]);
    for (double size = -1e4; size <= 1e4; size += 2e4) {
        for (size_t v = 0; v < l.s.V; v++)
            for (size_t c = 0; c < l.s.C; c++)
                l.wte[v * l.s.C + c] = 1;
        for (size_t i = 0; i < l.s.N * l.s.C; i++)
            l.x[i] = (real)(size / (double)l.s.C);
        forward(&l);
        for (size_t n = 0; n < l.s.N; n++)
            require_within(fabs((double)l.losses[n] - log((double)l.s.V)), 2 * 1e4 * ROUNDOFF,
                           "loss %zu of equal logits", n);
        fill(l.wte, l.s.V * l.s.C, 1, 5);
        fill(l.x, l.s.N * l.s.C, size, 6);
        backward(&l);
        for (size_t n = 0; n < l.s.N; n++)
            require(isfinite(l.losses[n]) && l.losses[n] >= 0, "loss %zu is %g", n,
                    (double)l.losses[n]);
        for (size_t i = 0; i < l.s.N * l.s.C; i++)
            require(isfinite(l.dx[i]), "dx %zu", i);
    }
    free_loss(&l);
}
END_TEST

START_TEST(same_bits_at_any_thread_count)
{
    struct loss first = loss(&shapes[4]);
    omp_set_num_threads(1);
    backward(&first);
    for (int t = 1; t < THREAD_COUNTS; t++) {
        struct loss l = loss(&shapes[4]);
        omp_set_num_threads(thread_counts[t]);
        backward(&l);
        require(same_bits(l.losses, first.losses, l.s.N) &&
                    same_bits(l.dx, first.dx, l.s.N * l.s.C) &&
                    same_bits(l.dwte, first.dwte, l.s.padded * l.s.C),
                "other bits with %d threads", thread_counts[t]);
        free_loss(&l);
    }
    free_loss(&first);
}
END_TEST

SUITE_FLOAT_DOUBLE("model/loss", equals_its_definition, adds_and_is_linear_in_dlosses,
                   padding_is_ignored, huge_logits, same_bits_at_any_thread_count)
