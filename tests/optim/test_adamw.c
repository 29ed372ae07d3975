/* test_adamw.c: AdamW compared with its formula in long double, and the norms of tensors. Built
 * for float and for double.
 *
 *   property                                 tolerance
 *   params, m, v after each of ten steps     per step one rounding of theta and 64 of lr: an update
 *                                            is at most lr sqrt(1 / (1 - beta2)), computed in some
 *                                            fifteen operations
 *   one-dimensional tensors do not decay     included above, since lr lambda is 10^-2
 *   padding rows; gaps between tensors       remain zero; the same bits
 *   gradient_norm, tensor_norm against long  4096 roundings of double: sums of blocks of 5,000
 *   double                                   terms and of 256 blocks, at worst one by one; the
 *                                            root halves the error
 *   adamw_update_norm against the change of  two roundings of theta and 64 of the update
 *   params
 *   1, 2, 3, 5 threads                       the same bits
 */
#include "optim/adamw.h"
#include "optim/clip.h"
#include "optim/norms.h"
#include "tests/numbers.h"

static const struct model_config config = {.n_layer = 2,
                                           .n_head = 1,
                                           .n_embd = 21,
                                           .block_size = 9,
                                           .vocab_size = 301,
                                           .padded_vocab_size = 304,
                                           .bias = true,
                                           .gelu = GELU_TANH};
static const struct adamw options = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.1};
enum { STEPS = 10 };
static const double lr = 0.1;

struct state {
    struct tensors *t;
    real *p, *m, *v, *g;
};

static struct state state(void)
{
    struct tensors *t = tensors_create(&config);
    return (struct state){t, random_array(t->total, 1, 1), zeros(t->total), zeros(t->total),
                          zeros(t->total)};
}

static void free_state(struct state *s)
{
    free(s->p);
    free(s->m);
    free(s->v);
    free(s->g);
    tensors_destroy(s->t);
}

/* Gradients of size 1, of the size of eps (which show whether eps is inside the root), tiny
 * ones, and zeros. */
static void gradients(struct state *s, uint32_t step)
{
    static const double sizes[] = {1, 1e-3, 1e-9, 0};
    for (size_t i = 0; i < s->t->total; i++)
        s->g[i] = (real)(sizes[i % 4] * uniform(100 + step, i));
}

/* One step for one parameter, in long double. */
static void exact_update(long double *p, long double *m, long double *v, long double g, int decays,
                         int step)
{
    const long double b1 = (long double)options.beta1, b2 = (long double)options.beta2;
    *m = b1 * *m + (1 - b1) * g;
    *v = b2 * *v + (1 - b2) * g * g;
    const long double m_hat = *m / (1 - powl(b1, step)), v_hat = *v / (1 - powl(b2, step));
    *p -= (long double)lr * (decays ? (long double)options.weight_decay : 0) * *p;
    *p -= (long double)lr * m_hat / (sqrtl(v_hat) + (long double)options.eps);
}

/* For each element: 1 if its tensor decays, 0 if not, -1 if it belongs to no tensor. */
static signed char *kinds_of(const struct tensors *t)
{
    signed char *kind = malloc(t->total);
    memset(kind, -1, t->total);
    for (size_t k = 0; k < t->count; k++)
        memset(kind + t->list[k].offset, t->list[k].ndim == 2, t->list[k].size);
    return kind;
}

START_TEST(adamw_equals_its_formula)
{
    struct state s = state();
    const size_t n = s.t->total;
    const double factor = 0.37;
    long double *p = calloc(n, sizeof *p), *m = calloc(n, sizeof *m), *v = calloc(n, sizeof *v);
    signed char *kind = kinds_of(s.t);
    for (size_t i = 0; i < n; i++)
        p[i] = (long double)s.p[i];
    for (int step = 1; step <= STEPS; step++) {
        gradients(&s, (uint32_t)step);
        adamw_update(s.p, s.m, s.v, s.g, factor, s.t, &options, lr, (uint64_t)step);
        for (size_t i = 0; i < n; i++) {
            if (kind[i] >= 0)
                exact_update(&p[i], &m[i], &v[i], (long double)s.g[i] * (long double)factor,
                             kind[i], step);
            const double tolerance = step * ROUNDOFF * (fabs((double)p[i]) + 64 * lr),
                         moment = 16 * step * ROUNDOFF;
            require_within(fabs((double)((long double)s.p[i] - p[i])), kind[i] < 0 ? 0 : tolerance,
                           "step %d, param %zu", step, i);
            require_within(fabs((double)((long double)s.m[i] - m[i])), moment, "step %d, m %zu",
                           step, i);
            require_within(fabs((double)((long double)s.v[i] - v[i])), moment, "step %d, v %zu",
                           step, i);
        }
    }
    free(p);
    free(m);
    free(v);
    free(kind);
    free_state(&s);
}
END_TEST

START_TEST(adamw_leaves_padding_zero)
{
    struct state s = state();
    const struct tensor *wte = tensors_find(s.t, WTE, 0);
    for (int step = 1; step <= STEPS; step++) {
        gradients(&s, (uint32_t)step);
        for (size_t i = tensor_file_size(wte); i < wte->size; i++)
            s.g[wte->offset + i] = s.p[wte->offset + i] = 0;
        adamw_update(s.p, s.m, s.v, s.g, 1, s.t, &options, lr, (uint64_t)step);
        for (size_t i = tensor_file_size(wte); i < wte->size; i++)
            require(s.p[wte->offset + i] == 0, "padding %zu is %g", i,
                    (double)s.p[wte->offset + i]);
    }
    free_state(&s);
}
END_TEST

START_TEST(adamw_first_step_is_the_sign_of_the_gradient)
{
    /* At step 1 m_hat / sqrt(v_hat) is g / |g|, because the corrections cancel both betas. */
    struct state s = state();
    const struct adamw o = {.beta1 = 0.8, .beta2 = 0.999, .eps = 0, .weight_decay = 0};
    for (size_t i = 0; i < s.t->total; i++)
        s.g[i] = (real)(uniform(5, i) * (i % 2 ? 1 : 1e-6));
    memset(s.p, 0, s.t->total * sizeof(real));
    adamw_update(s.p, s.m, s.v, s.g, 1, s.t, &o, lr, 1);
    for (size_t k = 0; k < s.t->count; k++)
        for (size_t i = s.t->list[k].offset; i < s.t->list[k].offset + s.t->list[k].size; i++)
            require_within(fabs((double)s.p[i] - (s.g[i] > 0 ? -lr : lr)), 64 * lr * ROUNDOFF,
                           "param %zu", i);
    free_state(&s);
}
END_TEST

START_TEST(same_bits_at_any_thread_count)
{
    struct state first = state();
    for (int t = 0; t < THREAD_COUNTS; t++) {
        struct state s = state();
        omp_set_num_threads(thread_counts[t]);
        for (int step = 1; step <= STEPS; step++) {
            gradients(&s, (uint32_t)step);
            adamw_update(s.p, s.m, s.v, s.g, 1, s.t, &options, lr, (uint64_t)step);
        }
        if (t == 0)
            memcpy(first.p, s.p, s.t->total * sizeof(real));
        require(same_bits(s.p, first.p, s.t->total), "other bits with %d threads",
                thread_counts[t]);
        free_state(&s);
    }
    free_state(&first);
}
END_TEST

/* The last table has a tensor of more than a million elements, for which blocks are larger. */
START_TEST(norm_is_accurate_with_any_thread_count)
{
    static const size_t widths[] = {1, 21, 64}, vocabularies[] = {1, 301, 20011};
    for (int k = 0; k < 3; k++) {
        struct model_config c = config;
        c.n_embd = widths[k];
        c.vocab_size = vocabularies[k];
        c.padded_vocab_size = c.vocab_size + 3;
        struct tensors *t = tensors_create(&c);
        real *g = zeros(t->total);
        long double sum = 0;
        for (size_t i = 0; i < t->total; i++)
            g[i] = NAN; /* gaps must not be read */
        for (size_t k2 = 0; k2 < t->count; k2++)
            for (size_t i = t->list[k2].offset; i < t->list[k2].offset + t->list[k2].size; i++) {
                g[i] = (real)uniform(1, i);
                sum += (long double)g[i] * (long double)g[i];
            }
        double first = 0;
        for (int n = 0; n < THREAD_COUNTS; n++) {
            omp_set_num_threads(thread_counts[n]);
            const double norm = gradient_norm(g, t);
            require_within(fabs(norm - (double)sqrtl(sum)) / norm, 4096 * 0x1p-53, "width %zu",
                           widths[k]);
            first = n ? first : norm;
            require(norm == first, "another norm with %d threads", thread_counts[n]);
        }
        free(g);
        tensors_destroy(t);
    }
}
END_TEST

/* The norm of an update, computed from the moments, equals that of the change of params. */
START_TEST(norms_of_tensors_and_updates)
{
    struct state s = state();
    real *before = malloc(s.t->total * sizeof *before);
    for (int step = 1; step <= STEPS; step++) {
        gradients(&s, (uint32_t)step);
        memcpy(before, s.p, s.t->total * sizeof *before);
        adamw_update(s.p, s.m, s.v, s.g, 0.37, s.t, &options, lr, (uint64_t)step);
        for (size_t k = 0; k < s.t->count; k++) {
            const struct tensor *x = &s.t->list[k];
            long double squares = 0, moved = 0;
            for (size_t i = x->offset; i < x->offset + x->size; i++) {
                const long double p = (long double)s.p[i], d = p - (long double)before[i];
                squares += p * p;
                moved += d * d;
            }
            const double norm = (double)sqrtl(squares), update = (double)sqrtl(moved);
            require_within(fabs(tensor_norm(s.p, x) - norm), 4096 * 0x1p-53 * norm, "%s: norm",
                           x->name);
            require_within(
                fabs(adamw_update_norm(s.p, s.m, s.v, x, &options, lr, (uint64_t)step) - update),
                ROUNDOFF * (2 * norm + 64 * update), "%s: update of step %d", x->name, step);
            for (int threads = 0; threads < THREAD_COUNTS; threads++) {
                const double base =
                                 adamw_update_norm(s.p, s.m, s.v, x, &options, lr, (uint64_t)step),
                             weight = tensor_norm(s.p, x);
                omp_set_num_threads(thread_counts[threads]);
                require(adamw_update_norm(s.p, s.m, s.v, x, &options, lr, (uint64_t)step) == base &&
                            tensor_norm(s.p, x) == weight,
                        "%s: other bits with %d threads", x->name, thread_counts[threads]);
            }
        }
    }
    free(before);
    free_state(&s);
}
END_TEST

START_TEST(clipping)
{
    require(clip_factor(0, 1) == 1 && clip_factor(0.5, 1) == 1 && clip_factor(100, 0) == 1,
            "clips although the norm is below the limit");
    for (double norm = 1.5; norm < 1e9; norm *= 7) {
        const double f = clip_factor(norm, 1.25);
        require(f < 1 && f * norm <= 1.25, "norm %g", norm);
        require_within(fabs(f - 1.25 / (norm + 1e-6)), 0, "norm %g", norm);
    }
    require(!(clip_factor(NAN, 1) < 1), "a norm of NaN must not scale gradients down");
}
END_TEST

SUITE_FLOAT_DOUBLE("optim/adamw", adamw_equals_its_formula, adamw_leaves_padding_zero,
                   adamw_first_step_is_the_sign_of_the_gradient, same_bits_at_any_thread_count,
                   norm_is_accurate_with_any_thread_count, norms_of_tensors_and_updates, clipping)
