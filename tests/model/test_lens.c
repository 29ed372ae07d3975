/* test_lens.c: what the lens shows agrees with what the model computes. Built for all three types.
 *
 *   property                                    tolerance
 *   a query's weights over its keys sum to one  256 roundings: exponentials of scores
 *   weights times values equal the output of    256 roundings, norm-wise
 *   attention
 *   weights of later keys                       exactly zero
 *   logits after the last block equal those of  the same bits; their losses equal those of the
 *   gpt_logits                                  forward within 64 roundings
 *   logits after the embedding equal their      64 roundings, norm-wise
 *   definition
 *   the gradient of one loss equals the         1e-12
 *   complex step (in the complex build)
 *   the mean of these gradients equals that of  1024 roundings
 *   wpe, each row of which enters one token
 *   the gradient of later tokens                exactly zero
 */
#include "model/lens.h"
#include "model/zero.h"
#include "tests/batch.h"
#include "tests/numbers.h"

enum { T = 37, V = 23, LAYERS = 3, H = 2, C = 10 };

static uint32_t ids[T + 1];

/* Weights are large and biases nonzero, so that every part affects the result. */
static struct gpt model(bool bias)
{
    const struct model_config c = {LAYERS, H, C, T + 3, V, V + 2, bias, GELU_TANH, 0};
    struct gpt g;
    ck_assert_int_eq(gpt_create(&g, tensors_create(&c), T + 3, GPT_TRAIN), 0);
    gpt_init(&g, 3);
    for (size_t k = 0; k < g.tensors->count; k++)
        for (size_t i = 0; i < tensor_file_size(&g.tensors->list[k]); i++)
            g.params[g.tensors->list[k].offset + i] += (real)(0.4 * uniform((uint32_t)k, i));
    for (size_t n = 0; n <= T; n++)
        ids[n] = (uint32_t)((uniform(99, n) + 1) / 2 * V);
    return g;
}

static void check_weights(const struct gpt *g, size_t layer)
{
    real *w = zeros(H * T * T), *y = zeros(T * C);
    memset(w, 0xff, H * T * T * sizeof *w); /* NaN */
    lens_attention(w, g, T, layer);
    for (size_t h = 0; h < H; h++)
        for (size_t q = 0; q < T; q++) {
            const real *row = w + (h * T + q) * T;
            real sum = 0;
            for (size_t k = 0; k < T; k++) {
                require(k <= q || row[k] == 0, "query %zu has a weight for the later key %zu", q,
                        k);
                require(k > q || (real_part(row[k]) >= 0 && real_part(row[k]) <= 1.0001),
                        "query %zu, key %zu: not in [0, 1]", q, k);
                sum += row[k];
                for (size_t c = 0; c < C / H; c++)
                    y[q * C + h * (C / H) + c] +=
                        row[k] * g->blocks[layer].qkv[k * 3 * C + 2 * C + h * (C / H) + c];
            }
            require_within(magnitude(sum - 1), 256 * ROUNDOFF, "sum of query %zu", q);
        }
    require_within(error_of(y, g->blocks[layer].att, T * C), 256 * ROUNDOFF, "layer %zu", layer);
    free(w);
    free(y);
}

START_TEST(weights_equal_those_of_attention)
{
    struct gpt g = model(true);
    gpt_loss(&g, BATCH(ids, ids + 1, 1, T, 1), NULL);
    for (size_t l = 0; l < LAYERS; l++)
        check_weights(&g, l);
    gpt_destroy(&g);
}
END_TEST

START_TEST(last_depth_equals_the_model)
{
    struct gpt g = model(false);
    real *logits = zeros(T * V), *expected = zeros(T * V);
    gpt_logits(&g, expected, BATCH(ids, NULL, 1, T, 1));
    gpt_loss(&g, BATCH(ids, ids + 1, 1, T, 1), NULL);
    lens_logits(logits, &g, T, LAYERS);
    require(same_bits(logits, expected, T * V),
            "the logits after the last block are not the model's");
    for (size_t t = 0; t < T; t++) {
        real sum = 0;
        for (size_t v = 0; v < V; v++)
            sum += real_exp(logits[t * V + v]);
        require_within(magnitude(real_log(sum) - logits[t * V + ids[t + 1]] - g.losses[t]),
                       64 * ROUNDOFF, "loss %zu", t);
    }
    lens_logits(logits, &g, T, LAYERS - 1);
    require(!same_bits(logits, expected, T * V), "the last block does not change the logits");
    free(logits);
    free(expected);
    gpt_destroy(&g);
}
END_TEST

START_TEST(first_depth_equals_the_embedding)
{
    struct gpt g = model(true);
    real *logits = zeros(T * V), *expected = zeros(T * V);
    gpt_loss(&g, BATCH(ids, ids + 1, 1, T, 1), NULL);
    lens_logits(logits, &g, T, 0);
    for (size_t t = 0; t < T; t++) {
        real x[C], mean = 0, variance = 0;
        for (size_t c = 0; c < C; c++) {
            x[c] = g.w[0][WTE][ids[t] * C + c] + g.w[0][WPE][t * C + c];
            mean += x[c] / C;
        }
        for (size_t c = 0; c < C; c++)
            variance += (x[c] - mean) * (x[c] - mean) / C;
        for (size_t v = 0; v < V; v++)
            for (size_t c = 0; c < C; c++)
                expected[t * V + v] +=
                    g.w[0][WTE][v * C + c] *
                    (g.w[0][LN_F_BIAS][c] +
                     g.w[0][LN_F_WEIGHT][c] * (x[c] - mean) / real_sqrt(variance + (real)1e-5));
    }
    require_within(error_of(logits, expected, T * V), 64 * ROUNDOFF, "logits");
    free(logits);
    free(expected);
    gpt_destroy(&g);
}
END_TEST

#ifdef REAL_C128
/* A row of wpe enters one embedded token only, so a step in the row is a step in that token. */
START_TEST(gradients_by_complex_step)
{
    const double h = 1e-20;
    for (int bias = 0; bias < 2; bias++) {
        struct gpt g = model(bias);
        real *gradient = zeros(T * C), *expected = zeros(T * C);
        for (size_t t = 0; t < T; t += 9) {
            lens_gradient(gradient, &g, BATCH(ids, ids + 1, 1, T, 1), t);
            for (size_t i = 0; i < T * C; i++) {
                const real before = g.w[0][WPE][i];
                g.w[0][WPE][i] += __builtin_complex(0.0, h);
                gpt_loss(&g, BATCH(ids, ids + 1, 1, T, 1), NULL);
                g.w[0][WPE][i] = before;
                expected[i] = cimag(g.losses[t]) / h;
            }
            require_within(error_of(gradient, expected, T * C), 1e-12, "loss at %zu", t);
        }
        free(gradient);
        free(expected);
        gpt_destroy(&g);
    }
}
END_TEST
#define BY_COMPLEX_STEP gradients_by_complex_step,
#else
#define BY_COMPLEX_STEP
#endif

START_TEST(gradients_average_to_that_of_the_mean)
{
    struct gpt g = model(true);
    const struct tensor *wpe = tensors_find(g.tensors, WPE, 0);
    real *gradient = zeros(T * C), *sum = zeros(T * C);
    for (size_t t = 0; t < T; t++) {
        lens_gradient(gradient, &g, BATCH(ids, ids + 1, 1, T, 1), t);
        for (size_t i = 0; i < T * C; i++)
            sum[i] += gradient[i] / T;
    }
    zero(g.grads, g.tensors->total);
    gpt_loss_and_grads(&g, BATCH(ids, ids + 1, 1, T, 1), NULL);
    require_within(error_of(sum, g.grads + wpe->offset, T * C), 1024 * ROUNDOFF,
                   "the mean of all gradients");
    free(gradient);
    free(sum);
    gpt_destroy(&g);
}
END_TEST

START_TEST(later_tokens_get_no_gradient)
{
    struct gpt g = model(true);
    real *gradient = zeros(T * C);
    for (size_t t = 0; t < T; t++) {
        memset(gradient, 0xff, T * C * sizeof *gradient);
        lens_gradient(gradient, &g, BATCH(ids, ids + 1, 1, T, 1), t);
        for (size_t i = 0; i < T * C; i++)
            require(i / C <= t ? gradient[i] == gradient[i] && (i % C || gradient[i] != 0)
                               : gradient[i] == 0,
                    "loss at %zu, token at %zu", t, i / C);
    }
    free(gradient);
    gpt_destroy(&g);
}
END_TEST

SUITE("model/lens", weights_equal_those_of_attention, last_depth_equals_the_model,
      first_depth_equals_the_embedding, BY_COMPLEX_STEP gradients_average_to_that_of_the_mean,
      later_tokens_get_no_gradient)
