/* test_gpt.c: the whole model: gradients accumulate, the loss agrees with the logits, tokens do
 * not depend on later ones, and results depend on the seed alone. Built for float and for
 * double.
 *
 *   property                                    tolerance
 *   two micro-batches against one batch, for    1024 roundings, norm-wise: sums over rows are split
 *   each tensor                                 in two, and some hundred operations, each accurate
 *                                               to a few roundings, follow
 *   the same with 1,200 rows in bf16            2^-9: some operands are rounded to the other side
 *   loss against log-softmax of the logits      64 roundings
 *   loss after 20 steps, vocabulary padded or   16384 roundings: training amplifies errors, here by
 *   not                                         some hundred
 *   GPT_INFER against GPT_TRAIN; 1, 2, 3        the same bits
 *   threads; dropout of the embedding; logits
 *   before a changed token; padded vocabulary
 *   gradients, for every kind of recomputation  the same bits
 *   loss of an untrained model                  log V + s^2 / 2, where s = 0.02 sqrt(C) is the
 *                                               standard deviation of a logit; 5 standard
 *                                               deviations
 *   moments of initial weights, correlations    5 standard deviations
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

/* Compares b sequences of t tokens with inputs x and targets y in one batch and in two halves. */
static void check_accumulation(const struct model_config *c, const uint32_t *x, const uint32_t *y,
                               size_t b, size_t t, const struct dropout *drop, double tolerance)
{
    const size_t half = b / 2 * t;
    struct gpt whole = model(c, b * t, GPT_TRAIN), parts = model(c, half, GPT_TRAIN);
    perturb(&whole);
    perturb(&parts);
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

/* Among so many rows, some operand is so close to the midpoint between two bf16 numbers that
 * the last bit of a float determines the result. */
#ifdef REAL_BF16
#define BATCH_SPLIT_TOLERANCE 0x1p-9
#else
#define BATCH_SPLIT_TOLERANCE (1024 * ROUNDOFF)
#endif

/* Also for sizes at which the MLP processes the whole batch in two parts and each half in one part
 * (block.c). */
START_TEST(micro_batches_equal_one_batch)
{
    enum { LONG_T = 300, LONG_N = B * LONG_T };
    static uint32_t ids[LONG_N + 1];
    struct model_config longer = small_config;
    longer.block_size = LONG_T;
    for (size_t n = 0; n <= LONG_N; n++)
        ids[n] = (uint32_t)((uniform(1, n) + 1) / 2 * V);
    check_accumulation(&small_config, inputs, targets, B, T, NULL, 1024 * ROUNDOFF);
    check_accumulation(&small_config, inputs, targets, B, T, &dropout, 1024 * ROUNDOFF);
    check_accumulation(&longer, ids, ids + 1, B, LONG_T, NULL, BATCH_SPLIT_TOLERANCE);
}
END_TEST

/* The gradient of queries, keys and values needs more scratch than a piece of the MLP or of the
 * logits if there are many rows and few symbols; 9,600 rows against eight times 1,200. */
START_TEST(many_rows_and_few_symbols)
{
    enum { PARTS = 8, LONG_T = 300, PART = B * LONG_T };
    static uint32_t ids[PARTS * PART + 1];
    struct model_config longer = small_config;
    longer.block_size = LONG_T;
    longer.n_layer = 1;
    for (size_t n = 0; n <= PARTS * PART; n++)
        ids[n] = (uint32_t)((uniform(1, n) + 1) / 2 * V);
    struct gpt whole = model(&longer, PARTS * PART, GPT_TRAIN),
               parts = model(&longer, PART, GPT_TRAIN);
    perturb(&whole);
    perturb(&parts);
    gpt_loss_and_grads(&whole, BATCH(ids, ids + 1, PARTS * B, LONG_T, 1), NULL);
    for (size_t k = 0; k < PARTS; k++)
        gpt_loss_and_grads(&parts,
                           BATCH(ids + k * PART, ids + k * PART + 1, B, LONG_T, 1.0 / PARTS), NULL);
    require_same_grads(&parts, &whole, BATCH_SPLIT_TOLERANCE);
    gpt_destroy(&whole);
    gpt_destroy(&parts);
}
END_TEST

/* Every parameter of every layer has memory of its own, in weights and in gradients. */
START_TEST(tensors_do_not_overlap)
{
    struct model_config c = small_config;
    c.n_layer = 3;
    struct gpt g = model(&c, N, GPT_TRAIN);
    const struct tensors *t = g.tensors;
    unsigned char *owner = calloc(t->total, 1);
    for (size_t k = 0; k < t->count; k++)
        for (size_t i = 0; i < t->list[k].size; i++)
            ck_assert(!owner[t->list[k].offset + i]++);
    const real *seen[2 * 3 * TENSOR_KINDS];
    size_t n = 0;
    for (size_t l = 0; l < c.n_layer; l++)
        for (int k = 0; k < TENSOR_KINDS; k++)
            for (int gradient = 0; gradient < 2; gradient++) {
                const real *at = gradient ? g.dw[l][k] : g.w[l][k];
                const bool shared = !tensor_kind_in_block(k); /* one for all layers */
                if (!at || (shared && l > 0))
                    continue;
                for (size_t i = 0; i < n; i++)
                    ck_assert_msg(seen[i] != at, "layer %zu, kind %d", l, k);
                seen[n++] = at;
            }
    ck_assert_uint_eq(n, 2 * t->count);
    free(owner);
    gpt_destroy(&g);
}
END_TEST

/* Every embedded token is scaled by its mask of the site DROP_EMBEDDING. */
START_TEST(dropout_of_the_embedding)
{
    const size_t C = small_config.n_embd;
    struct gpt g = model(&small_config, N, GPT_TRAIN);
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
    struct gpt a = model(&small_config, N, GPT_TRAIN), b = model(&small_config, N, GPT_TRAIN);
    gpt_loss_and_grads(&a, BATCH(inputs, targets, B, T, 1), &dropout);
    for (int i = 0; i < 4; i++)
        gpt_loss_and_grads(&b, BATCH(inputs, targets, B, T, 0.25), &dropout);
    require_same_grads(&b, &a, 64 * ROUNDOFF);
    gpt_destroy(&a);
    gpt_destroy(&b);
}
END_TEST

START_TEST(loss_equals_log_softmax_of_the_logits)
{
    struct gpt g = model(&small_config, N, GPT_INFER);
    perturb(&g);
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

START_TEST(inference_and_training_agree)
{
    struct gpt train = model(&small_config, N, GPT_TRAIN),
               infer = model(&small_config, N, GPT_INFER);
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
            "p = 0 changes the loss");
    require(gpt_loss(&infer, BATCH(inputs, targets, B, T, 1), &dropout) !=
                gpt_loss(&infer, BATCH(inputs, targets, B, T, 1), NULL),
            "p > 0 does not change the loss");
    gpt_destroy(&train);
    gpt_destroy(&infer);
}
END_TEST

/* With more rows than the MLP processes at a time, and with fewer. */
START_TEST(recomputing_gives_the_same_bits)
{
    enum { LONG_B = 2, LONG_T = 600, LONG_N = LONG_B * LONG_T };
    struct model_config c = small_config;
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
        perturb(&all);
        const double loss = gpt_loss_and_grads(&all, BATCH(ids, ids + 1, b, t, 1), d);
        for (enum gpt_use use = GPT_TRAIN_RECOMPUTE_GELU; use <= GPT_TRAIN_RECOMPUTE_BLOCK; use++) {
            struct gpt less = model(&c, LONG_N, use);
            perturb(&less);
            require(gpt_loss_and_grads(&less, BATCH(ids, ids + 1, b, t, 1), d) == loss,
                    "use %d: losses differ", (int)use);
            require(same_bits(less.grads, all.grads, all.tensors->total),
                    "use %d, run %d: gradients differ", (int)use, run);
            require(less.arena.size < all.arena.size, "use %d: saves no memory", (int)use);
            gpt_destroy(&less);
        }
        gpt_destroy(&all);
    }
    free(ids);
}
END_TEST

START_TEST(logits_do_not_depend_on_later_tokens)
{
    for (int form = 0; form < 2; form++) {
        struct model_config c = small_config;
        c.bias = form;
        c.gelu = form ? GELU_ERF : GELU_TANH;
        struct gpt g = model(&c, N, GPT_INFER);
        perturb(&g);
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
                        "token %zu changed earlier logits", t);
                for (size_t later = t; later < T; later++)
                    require(
                        !same_bits(after + (b * T + later) * V, before + (b * T + later) * V, V),
                        "the logits of %zu do not depend on %zu", later, t);
            }
        }
        free(before);
        free(after);
        gpt_destroy(&g);
    }
}
END_TEST

/* Returns the weights after twenty steps of training. */
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

/* With this library for products, which is selected before the first product. (Each test is a
 * separate process.) */
static void check_thread_counts(const char *library)
{
    setenv("HANDGRAD_GEMM", library, 1);
    struct gpt g = model(&small_config, 1, GPT_INFER);
    double loss[3];
    real *one = trained(&small_config, 1, 1, &loss[0]),
         *two = trained(&small_config, 2, 1, &loss[1]),
         *three = trained(&small_config, 3, 1, &loss[2]);
    require(same_bits(one, two, g.tensors->total) && same_bits(one, three, g.tensors->total),
            "weights after 20 steps differ");
    require(loss[0] == loss[1] && loss[0] == loss[2], "losses after 20 steps differ");
    require(loss[0] < log(V) - 0.3, "20 steps on one batch do not reduce the loss: %g", loss[0]);
    free(one);
    free(two);
    free(three);
    gpt_destroy(&g);
}

START_TEST(training_gives_the_same_bits_with_any_thread_count)
{
    check_thread_counts("openblas");
}
END_TEST

START_TEST(training_on_onednn_gives_the_same_bits_with_any_thread_count)
{
    check_thread_counts("onednn");
}
END_TEST

/* Products of other widths may sum in another order, so results agree to rounding: in the first
 * step, before Adam divides small numbers by their own size. */
START_TEST(padded_vocabulary_changes_nothing)
{
    struct model_config padded = small_config;
    padded.padded_vocab_size = 128;
    struct gpt a = model(&small_config, N, GPT_TRAIN), b = model(&padded, N, GPT_TRAIN);
    const double x = gpt_loss_and_grads(&a, BATCH(inputs, targets, B, T, 1), NULL),
                 y = gpt_loss_and_grads(&b, BATCH(inputs, targets, B, T, 1), NULL);
    require_within(fabs(x - y), 64 * ROUNDOFF, "loss");
    for (size_t k = 0; k < a.tensors->count; k++) {
        const struct tensor *s = &a.tensors->list[k], *t = &b.tensors->list[k];
        require_within(error_of(b.grads + t->offset, a.grads + s->offset, tensor_file_size(s)),
                       1024 * ROUNDOFF + OPERAND_ROUNDOFF, "%s", s->name);
    }
    double loss, padded_loss;
    free(trained(&small_config, 2, 0, &loss));
    free(trained(&padded, 2, 0, &padded_loss)); /* checks the padding rows */
    require_within(fabs(loss - padded_loss), 16384 * ROUNDOFF + 2 * OPERAND_ROUNDOFF,
                   "loss after 20 steps");
    gpt_destroy(&a);
    gpt_destroy(&b);
}
END_TEST

START_TEST(loss_of_an_untrained_model)
{
    struct gpt g = model(&small_config, N, GPT_INFER);
    const double s2 = 0.02 * 0.02 * (double)small_config.n_embd;
    require_within(fabs(gpt_loss(&g, BATCH(inputs, targets, B, T, 1), NULL) - log(V) - s2 / 2),
                   5 * sqrt(s2 / N), "loss of an untrained model");
    gpt_destroy(&g);
}
END_TEST

/* Checks mean, variance and fourth moment of normal weights, and the correlation of neighbours. */
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
    struct model_config c = small_config;
    c.n_embd = 63; /* odd, so that the last pair of normal numbers is used in half */
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
    struct gpt first = model(&small_config, 1, GPT_INFER),
               other = model(&small_config, N, GPT_TRAIN);
    for (int t = 0; t < THREAD_COUNTS; t++) {
        omp_set_num_threads(thread_counts[t]);
        gpt_init(&other, 5);
        require(same_bits(first.params, other.params, first.tensors->total),
                "other weights with %d threads", thread_counts[t]);
    }
    gpt_init(&other, 5 + (1ull << 32));
    require(!same_bits(first.params, other.params, V * 36),
            "the high word of the seed has no effect");
    gpt_destroy(&first);
    gpt_destroy(&other);
}
END_TEST

SUITE_FLOAT_DOUBLE("model/gpt", micro_batches_equal_one_batch, many_rows_and_few_symbols,
                   tensors_do_not_overlap, dropout_of_the_embedding, gradients_add_and_scale,
                   loss_equals_log_softmax_of_the_logits, inference_and_training_agree,
                   recomputing_gives_the_same_bits, logits_do_not_depend_on_later_tokens,
                   training_gives_the_same_bits_with_any_thread_count,
                   training_on_onednn_gives_the_same_bits_with_any_thread_count,
                   padded_vocabulary_changes_nothing, loss_of_an_untrained_model,
                   initial_weights_have_their_moments, initial_weights_depend_on_the_seed_alone)
