/* test_gpt.c: what the whole model promises: gradients that accumulate, a loss that is the logits' own, a past that does not
 * see the future, and numbers that depend on the seed alone. The program is built for float and for double.
 *
 *   property                                              bar
 *   two micro-batches against one batch, each tensor      1024 roundings, norm-wise: sums over rows are cut in two; some hundred
 *                                                         operations, each good to a few, lie between
 *   the same of 1,200 rows in bf16                        2^-9: operands that round to the other side
 *   loss against log-softmax of the logits                64 roundings
 *   loss after 20 steps, vocabulary padded or not         16384 roundings: training makes errors grow, here some hundredfold
 *   GPT_INFER against GPT_TRAIN; 1, 2, 3 threads;         the same bits
 *   embedded tokens, dropped, against their masks
 *   logits before a changed token; padded vocabulary
 *   gradients, whatever is recomputed                     the same bits
 *   loss of a fresh model                                 log V + s^2 / 2, s = 0.02 sqrt(C) the logits' deviation, within 5
 *                                                         standard deviations of its mean
 *   moments of initial weights, correlations              5 standard deviations
 */
#include "optim/adamw.h"
#include "optim/clip.h"
#include "tests/gpt_fixture.h"

static struct gpt model(const struct model_config *c, size_t rows, enum gpt_use use)
{
    struct gpt g;
    ck_assert_int_eq(gpt_create(&g, tensors_create(c), rows, use), 0);
    gpt_init(&g, 5);
    for (size_t n = 0; n < N; n++) {
        inputs[n] = (uint32_t)((uniform(1, n) + 1) / 2 * V);
        targets[n] = (uint32_t)((uniform(2, n) + 1) / 2 * V);
    }
    return g;
}

/* Rows x and targets y of b sequences of t tokens, in one batch and in two of half of them. */
static void accumulates(const struct model_config *c, const uint32_t *x, const uint32_t *y,
                        size_t b, size_t t, const struct dropout *drop, double tolerance)
{
    const size_t half = b / 2 * t;
    struct gpt whole = model(c, b * t, GPT_TRAIN), parts = model(c, half, GPT_TRAIN);
    stir(&whole);
    stir(&parts);
    const double loss = gpt_loss_and_grads(&whole, BATCH(x, y, b, t, 1), drop);
    double sum = 0;
    for (size_t part = 0; part < 2; part++) {
        struct dropout d = dropout;
        d.first_row = part * b / 2;
        sum += gpt_loss_and_grads(&parts, BATCH(x + part * half, y + part * half, b / 2, t, 0.5),
                                  drop ? &d : NULL) /
               2;
    }
    require_within(fabs(sum - loss), 64 * ROUNDOFF, "loss");
    require_same_grads(&parts, &whole, tolerance);
    gpt_destroy(&whole);
    gpt_destroy(&parts);
}

/* Of so many rows some operand lies so near the middle of two bf16 numbers that the last bit of a float decides which it becomes. */
#ifdef REAL_BF16
#define SIDES 0x1p-9
#else
#define SIDES (1024 * ROUNDOFF)
#endif

/* Also where the MLP has the whole batch in hand in two parts, and each half in one (block.c). */
START_TEST(accumulation_is_the_large_batch)
{
    enum { LONG_T = 300, LONG_N = B * LONG_T };
    static uint32_t ids[LONG_N + 1];
    struct model_config longer = plain;
    longer.block_size = LONG_T;
    for (size_t n = 0; n <= LONG_N; n++)
        ids[n] = (uint32_t)((uniform(1, n) + 1) / 2 * V);
    accumulates(&plain, inputs, targets, B, T, NULL, 1024 * ROUNDOFF);
    accumulates(&plain, inputs, targets, B, T, &dropout, 1024 * ROUNDOFF);
    accumulates(&longer, ids, ids + 1, B, LONG_T, NULL, SIDES);
}
END_TEST

/* Every embedded token is scaled by its own mask, that of the embedding's place in the model. */
START_TEST(the_embedding_is_dropped)
{
    const size_t C = plain.n_embd;
    struct gpt g = model(&plain, N, GPT_TRAIN);
    real *mask = malloc(C * sizeof *mask);
    gpt_loss(&g, BATCH(inputs, targets, B, T, 1), &dropout);
    for (size_t n = 0; n < N; n++) {
        dropout_mask(mask, &dropout, DROP_EMBEDDING, n, 0, C);
        for (size_t c = 0; c < C; c++) {
            const real e = g.w[0][WTE][inputs[n] * C + c] + g.w[0][WPE][n % T * C + c];
            require(g.embedded[n * C + c] == e * mask[c], "token %zu, column %zu: %g", n, c,
                    (double)g.embedded[n * C + c]);
        }
    }
    free(mask);
    gpt_destroy(&g);
}
END_TEST

START_TEST(gradients_add_and_scale)
{
    struct gpt a = model(&plain, N, GPT_TRAIN), b = model(&plain, N, GPT_TRAIN);
    gpt_loss_and_grads(&a, BATCH(inputs, targets, B, T, 1), &dropout);
    for (int i = 0; i < 4; i++)
        gpt_loss_and_grads(&b, BATCH(inputs, targets, B, T, 0.25), &dropout);
    require_same_grads(&b, &a, 64 * ROUNDOFF);
    gpt_destroy(&a);
    gpt_destroy(&b);
}
END_TEST

START_TEST(loss_is_the_logits_own)
{
    struct gpt g = model(&plain, N, GPT_INFER);
    stir(&g);
    real *logits = zeros(N * V);
    gpt_logits(&g, logits, BATCH(inputs, NULL, B, T, 1));
    const double loss = gpt_loss(&g, BATCH(inputs, targets, B, T, 1), NULL);
    double total = 0;
    for (size_t n = 0; n < N; n++) {
        double sum = 0;
        for (size_t v = 0; v < V; v++)
            sum += exp((double)logits[n * V + v]);
        const double one = log(sum) - (double)logits[n * V + targets[n]];
        require_within(fabs(one - (double)g.losses[n]), 64 * ROUNDOFF, "token %zu", n);
        total += one / N;
    }
    require_within(fabs(loss - total), 64 * ROUNDOFF, "mean");
    free(logits);
    gpt_destroy(&g);
}
END_TEST

START_TEST(inference_is_training)
{
    struct gpt train = model(&plain, N, GPT_TRAIN), infer = model(&plain, N, GPT_INFER);
    for (int dropped = 0; dropped < 2; dropped++) {
        const struct dropout *d = dropped ? &dropout : NULL;
        const double a = gpt_loss_and_grads(&train, BATCH(inputs, targets, B, T, 1), d),
                     b = gpt_loss(&infer, BATCH(inputs, targets, B, T, 1), d);
        require(a == b && same_bits(train.losses, infer.losses, N),
                "losses of inference and training differ");
        require(a == gpt_loss(&train, BATCH(inputs, targets, B, T, 1), d),
                "losses of forward and backward differ");
    }
    struct dropout off = dropout;
    off.p = 0;
    require(gpt_loss(&infer, BATCH(inputs, targets, B, T, 1), &off) ==
                gpt_loss(&infer, BATCH(inputs, targets, B, T, 1), NULL),
            "p = 0 is no dropout");
    require(gpt_loss(&infer, BATCH(inputs, targets, B, T, 1), &dropout) !=
                gpt_loss(&infer, BATCH(inputs, targets, B, T, 1), NULL),
            "p > 0 is none");
    gpt_destroy(&train);
    gpt_destroy(&infer);
}
END_TEST

/* More rows than the MLP has in hand at a time, and fewer. */
START_TEST(recomputing_changes_nothing)
{
    enum { LONG_B = 2, LONG_T = 600, LONG_N = LONG_B * LONG_T };
    struct model_config c = plain;
    c.block_size = LONG_T;
    c.n_layer = 3;
    uint32_t *ids = malloc((LONG_N + 1) * sizeof *ids);
    for (size_t n = 0; n <= LONG_N; n++)
        ids[n] = (uint32_t)((uniform(1, n) + 1) / 2 * V);
    for (int run = 0; run < 4; run++) {
        const struct dropout *d = run % 2 ? &dropout : NULL;
        const size_t b = LONG_B, t = run < 2 ? LONG_T : 7;
        c.gelu = run < 2 ? GELU_TANH : GELU_ERF;
        struct gpt all = model(&c, LONG_N, GPT_TRAIN);
        stir(&all);
        const double loss = gpt_loss_and_grads(&all, BATCH(ids, ids + 1, b, t, 1), d);
        for (enum gpt_use use = GPT_TRAIN_RECOMPUTE_GELU; use <= GPT_TRAIN_RECOMPUTE_BLOCK; use++) {
            struct gpt less = model(&c, LONG_N, use);
            stir(&less);
            require(gpt_loss_and_grads(&less, BATCH(ids, ids + 1, b, t, 1), d) == loss,
                    "use %d: another loss", (int)use);
            require(same_bits(less.grads, all.grads, all.tensors->total),
                    "use %d, run %d: other gradients", (int)use, run);
            require(less.arena.size < all.arena.size, "use %d: takes as much memory", (int)use);
            gpt_destroy(&less);
        }
        gpt_destroy(&all);
    }
    free(ids);
}
END_TEST

START_TEST(the_past_does_not_see_the_future)
{
    for (int form = 0; form < 2; form++) {
        struct model_config c = plain;
        c.bias = form;
        c.gelu = form ? GELU_ERF : GELU_TANH;
        struct gpt g = model(&c, N, GPT_INFER);
        stir(&g);
        real *before = zeros(N * V), *after = zeros(N * V);
        gpt_logits(&g, before, BATCH(inputs, NULL, B, T, 1));
        for (size_t t = 0; t < T; t++) {
            uint32_t changed[N];
            memcpy(changed, inputs, sizeof inputs);
            for (size_t b = 0; b < B; b++)
                changed[b * T + t] = (changed[b * T + t] + 1) % V;
            gpt_logits(&g, after, BATCH(changed, NULL, B, T, 1));
            for (size_t b = 0; b < B; b++) {
                require(same_bits(after + b * T * V, before + b * T * V, t * V),
                        "token %zu changed what came before", t);
                for (size_t later = t; later < T; later++)
                    require(
                        !same_bits(after + (b * T + later) * V, before + (b * T + later) * V, V),
                        "%zu does not see %zu", later, t);
            }
        }
        free(before);
        free(after);
        gpt_destroy(&g);
    }
}
END_TEST

/* Twenty steps of training with dropout; the weights. */
static real *trained(const struct model_config *c, int threads, int dropped, double *loss)
{
    const struct adamw o = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1};
    omp_set_num_threads(threads);
    struct gpt g = model(c, N, GPT_TRAIN);
    const size_t n = g.tensors->total;
    real *m = zeros(n), *v = zeros(n);
    struct dropout d = dropout;
    for (d.step = 1; d.step <= 20; d.step++) {
        memset(g.grads, 0, n * sizeof(real));
        *loss = gpt_loss_and_grads(&g, BATCH(inputs, targets, B, T, 1), dropped ? &d : NULL);
        adamw_update(g.params, m, v, g.grads, clip_factor(gradient_norm(g.grads, g.tensors), 1),
                     g.tensors, &o, 1e-2, d.step);
    }
    const struct tensor *wte = tensors_find(g.tensors, WTE, 0);
    for (size_t i = tensor_file_size(wte); i < wte->size; i++)
        require(g.params[wte->offset + i] == 0 && g.grads[wte->offset + i] == 0,
                "padding of wte is not zero");
    real *weights = copy_of(g.params, n);
    gpt_destroy(&g);
    free(m);
    free(v);
    return weights;
}

/* On the library that multiplies: asked for before the first product (each test is a process of its own). */
static void check_thread_counts(const char *library)
{
    setenv("HANDGRAD_GEMM", library, 1);
    struct gpt g = model(&plain, 1, GPT_INFER);
    double loss[3];
    real *one = trained(&plain, 1, 1, &loss[0]), *two = trained(&plain, 2, 1, &loss[1]),
         *three = trained(&plain, 3, 1, &loss[2]);
    require(same_bits(one, two, g.tensors->total) && same_bits(one, three, g.tensors->total),
            "weights after 20 steps differ");
    require(loss[0] == loss[1] && loss[0] == loss[2], "losses after 20 steps differ");
    require(loss[0] < log(V) - 0.3, "20 steps on one batch learn nothing: loss %g", loss[0]);
    free(one);
    free(two);
    free(three);
    gpt_destroy(&g);
}

START_TEST(training_is_the_same_at_any_thread_count)
{
    check_thread_counts("openblas");
}
END_TEST

START_TEST(training_on_onednn_is_the_same_at_any_thread_count)
{
    check_thread_counts("onednn");
}
END_TEST

/* Products of other widths may sum in another order: equal to rounding; at step one, before Adam divides small errors by themselves. */
START_TEST(padded_vocabulary_changes_nothing)
{
    struct model_config padded = plain;
    padded.padded_vocab_size = 128;
    struct gpt a = model(&plain, N, GPT_TRAIN), b = model(&padded, N, GPT_TRAIN);
    const double x = gpt_loss_and_grads(&a, BATCH(inputs, targets, B, T, 1), NULL),
                 y = gpt_loss_and_grads(&b, BATCH(inputs, targets, B, T, 1), NULL);
    require_within(fabs(x - y), 64 * ROUNDOFF, "loss");
    for (size_t k = 0; k < a.tensors->count; k++) {
        const struct tensor *s = &a.tensors->list[k], *t = &b.tensors->list[k];
        require_within(error_of(b.grads + t->offset, a.grads + s->offset, tensor_file_size(s)),
                       1024 * ROUNDOFF + OPERAND_ROUNDOFF, "%s", s->name);
    }
    double loss, padded_loss;
    free(trained(&plain, 2, 0, &loss));
    free(trained(&padded, 2, 0, &padded_loss)); /* looks at its padding */
    require_within(fabs(loss - padded_loss), 16384 * ROUNDOFF + 2 * OPERAND_ROUNDOFF,
                   "loss after 20 steps");
    gpt_destroy(&a);
    gpt_destroy(&b);
}
END_TEST

START_TEST(fresh_model_knows_nothing)
{
    struct gpt g = model(&plain, N, GPT_INFER);
    const double s2 = 0.02 * 0.02 * (double)plain.n_embd;
    require_within(fabs(gpt_loss(&g, BATCH(inputs, targets, B, T, 1), NULL) - log(V) - s2 / 2),
                   5 * sqrt(s2 / N), "loss of a fresh model");
    gpt_destroy(&g);
}
END_TEST

/* Mean, variance and fourth moment of z, normal if the table says so, and its correlation with its neighbour. */
static void check_normal(const real *x, const struct tensor *t)
{
    const size_t n = tensor_file_size(t);
    double mean = 0, variance = 0, fourth = 0, neighbours = 0;
    for (size_t i = 0; i < n; i++) {
        const double z = ((double)x[i] - t->init_mean) / t->init_std;
        mean += z / (double)n;
        variance += z * z / (double)n;
        fourth += z * z * z * z / (double)n;
        neighbours +=
            i + 1 < n ? z * ((double)x[i + 1] - t->init_mean) / t->init_std / (double)n : 0;
    }
    require_within(fabs(mean), 5 / sqrt((double)n), "%s: mean", t->name);
    require_within(fabs(variance - 1), 5 * sqrt(2 / (double)n), "%s: variance", t->name);
    require_within(fabs(fourth - 3), 5 * sqrt(96 / (double)n), "%s: fourth moment", t->name);
    require_within(fabs(neighbours), 5 / sqrt((double)n), "%s: correlation of neighbours", t->name);
}

START_TEST(initial_weights_have_their_moments)
{
    struct model_config c = plain;
    c.n_embd = 63; /* odd sizes: pairs of normal numbers end in the middle */
    struct gpt g = model(&c, 1, GPT_INFER);
    for (size_t k = 0; k < g.tensors->count; k++) {
        const struct tensor *t = &g.tensors->list[k];
        const real *x = g.params + t->offset;
        if (t->init_std > 0)
            check_normal(x, t);
        else
            for (size_t i = 0; i < t->size; i++)
                require(x[i] == (real)t->init_mean, "%s %zu is %g", t->name, i, (double)x[i]);
    }
    const struct tensor *a = tensors_find(g.tensors, C_FC_WEIGHT, 0),
                        *b = tensors_find(g.tensors, C_FC_WEIGHT, 1);
    double correlation = 0;
    for (size_t i = 0; i < a->size; i++)
        correlation += (double)g.params[a->offset + i] * (double)g.params[b->offset + i] /
                       (0.02 * 0.02) / (double)a->size;
    require_within(fabs(correlation), 5 / sqrt((double)a->size), "correlation of two layers");
    gpt_destroy(&g);
}
END_TEST

START_TEST(initial_weights_depend_on_the_seed_alone)
{
    struct gpt first = model(&plain, 1, GPT_INFER), other = model(&plain, N, GPT_TRAIN);
    for (int t = 0; t < THREAD_COUNTS; t++) {
        omp_set_num_threads(thread_counts[t]);
        gpt_init(&other, 5);
        require(same_bits(first.params, other.params, first.tensors->total),
                "%d threads give other weights", thread_counts[t]);
    }
    gpt_init(&other, 5 + (1ull << 32));
    require(!same_bits(first.params, other.params, V * 36),
            "the high word of the seed does not count");
    gpt_destroy(&first);
    gpt_destroy(&other);
}
END_TEST

SUITE_FLOAT_DOUBLE("the whole model", accumulation_is_the_large_batch, the_embedding_is_dropped,
                   gradients_add_and_scale, loss_is_the_logits_own, inference_is_training,
                   recomputing_changes_nothing, the_past_does_not_see_the_future,
                   training_is_the_same_at_any_thread_count,
                   training_on_onednn_is_the_same_at_any_thread_count,
                   padded_vocabulary_changes_nothing, fresh_model_knows_nothing,
                   initial_weights_have_their_moments, initial_weights_depend_on_the_seed_alone)
