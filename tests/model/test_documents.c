/* test_documents.c: a model on rows that hold several documents, with attention and loss
 * confined to each document, gives the same results as on one document per row at the same
 * positions. Built for float and for double.
 *
 *   property                                       tolerance
 *   losses of a document in a separate row         64 roundings: products of other sizes may sum in
 *                                                  another order
 *   gradients, summed over documents in separate   1024 roundings, norm-wise, as in test_gpt.c
 *   rows
 *   micro-batches weighted by their targets        the same, compared with one batch
 *   one document per row, with or without `start`  the same bits
 *   a changed token                                the same bits in all other documents
 *   tokens without a target                        loss 0; the same bits for every kind of
 *                                                  recomputation
 *   no target at all                               loss 0, gradient 0, no NaN
 */
#include "model/loss.h"
#include "tests/gpt_fixture.h"

static uint32_t start[N];

/* Creates the model and a batch with documents of 1 to T tokens. */
static struct gpt model(const struct model_config *c, enum gpt_use use)
{
    static const bool begins[B][T] = {
        {[7] = true}, {0}, {[1] = true, [2] = true, [17] = true}, {[5] = true, [12] = true}};
    struct gpt g;
    ck_assert_int_eq(gpt_create(&g, tensors_create(c), N, use), 0);
    gpt_init(&g, 5);
    perturb(&g);
    for (size_t n = 0; n < N; n++) {
        inputs[n] = (uint32_t)((uniform(1, n) + 1) / 2 * V);
        targets[n] = (uint32_t)((uniform(2, n) + 1) / 2 * V);
        start[n] = n % T == 0 || begins[n / T][n % T] ? (uint32_t)(n % T) : start[n - 1];
        if (n % T > 0 && start[n] == n % T)
            targets[n - 1] = NO_TARGET;
    }
    return g;
}

static size_t count_targets(const uint32_t *t, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += t[i] != NO_TARGET;
    return count;
}

/* Moves the rows of wpe, or of its gradient, towards the first by `by` positions. */
static void shift_positions(const struct gpt *g, real *array, size_t by)
{
    real *wpe = array + tensors_find(g->tensors, WPE, 0)->offset;
    memmove(wpe, wpe + by * 36, (T - by) * 36 * sizeof(real));
}

/* Adds to `sum` the gradient of one document in a separate row, at its positions. */
static void add_document(real *sum, const struct gpt *whole, struct gpt *one, size_t first,
                         size_t length, double all)
{
    const size_t position = first % T, offset = tensors_find(one->tensors, WPE, 0)->offset,
                 count = count_targets(targets + first, length);
    memcpy(one->params, whole->params, one->tensors->total * sizeof(real));
    shift_positions(one, one->params, position);
    memset(one->grads, 0, one->tensors->total * sizeof(real));
    gpt_loss_and_grads(one, BATCH(inputs + first, targets + first, 1, length, (double)count / all),
                       NULL);
    for (size_t i = 0; i < length; i++)
        require_within(fabs((double)(one->losses[i] - whole->losses[first + i])), 64 * ROUNDOFF,
                       "loss %zu", first + i);
    for (size_t i = 0; i < one->tensors->total; i++)
        if (i < offset || i >= offset + T * 36)
            sum[i] += one->grads[i];
    for (size_t i = 0; i < length * 36; i++)
        sum[offset + position * 36 + i] += one->grads[offset + i];
}

START_TEST(documents_equal_separate_rows)
{
    struct gpt whole = model(&small_config, GPT_TRAIN), one = model(&small_config, GPT_TRAIN),
               sum = model(&small_config, GPT_TRAIN);
    const double loss =
                     gpt_loss_and_grads(&whole, DOCUMENTS(inputs, targets, start, B, T, 1), NULL),
                 all = (double)count_targets(targets, N);
    ck_assert_uint_eq(count_targets(targets, N), N - 6);
    memset(sum.grads, 0, sum.tensors->total * sizeof(real));
    double mean = 0;
    for (size_t n = 0; n < N; n++) {
        require(targets[n] != NO_TARGET || whole.losses[n] == 0,
                "token %zu has a loss but no target", n);
        mean += (double)whole.losses[n] / all;
    }
    require_within(fabs(mean - loss), 64 * ROUNDOFF, "mean");
    for (size_t first = 0, end; first < N; first = end) {
        for (end = first + 1; end % T && start[end] == start[first]; end++)
            ;
        add_document(sum.grads, &whole, &one, first, end - first, all);
    }
    require_same_grads(&whole, &sum, 1024 * ROUNDOFF);
    gpt_destroy(&whole);
    gpt_destroy(&one);
    gpt_destroy(&sum);
}
END_TEST

START_TEST(micro_batches_equal_one_batch)
{
    for (int dropped = 0; dropped < 2; dropped++) {
        struct gpt whole = model(&small_config, GPT_TRAIN), parts = model(&small_config, GPT_TRAIN);
        struct dropout d = dropout;
        const double loss = gpt_loss_and_grads(&whole, DOCUMENTS(inputs, targets, start, B, T, 1),
                                               dropped ? &d : NULL);
        double sum = 0;
        /* micro-batches of one row, with 17, 18, 15 and 16 targets */
        for (size_t row = 0; row < B; row++) {
            const double share =
                (double)count_targets(targets + row * T, T) / (double)count_targets(targets, N);
            d.first_row = row;
            sum += share * gpt_loss_and_grads(&parts,
                                              DOCUMENTS(inputs + row * T, targets + row * T,
                                                        start + row * T, 1, T, share),
                                              dropped ? &d : NULL);
        }
        require_within(fabs(sum - loss), 64 * ROUNDOFF, "loss");
        require_same_grads(&parts, &whole, 1024 * ROUNDOFF);
        gpt_destroy(&whole);
        gpt_destroy(&parts);
    }
}
END_TEST

START_TEST(one_document_per_row_changes_nothing)
{
    struct gpt a = model(&small_config, GPT_TRAIN), b = model(&small_config, GPT_TRAIN);
    for (size_t n = 0; n < N; n++) {
        targets[n] = inputs[(n + 1) % N];
        start[n] = 0;
    }
    require(gpt_loss_and_grads(&a, DOCUMENTS(inputs, targets, start, B, T, 1), &dropout) ==
                gpt_loss_and_grads(&b, BATCH(inputs, targets, B, T, 1), &dropout),
            "losses differ");
    require(same_bits(a.grads, b.grads, a.tensors->total), "gradients differ");
    gpt_destroy(&a);
    gpt_destroy(&b);
}
END_TEST

START_TEST(tokens_affect_only_their_document)
{
    struct gpt g = model(&small_config, GPT_INFER);
    real before[N];
    gpt_loss(&g, DOCUMENTS(inputs, targets, start, B, T, 1), NULL);
    memcpy(before, g.losses, sizeof before);
    for (size_t t = 0; t < N; t++) {
        const uint32_t id = inputs[t];
        inputs[t] = (id + 1) % V;
        gpt_loss(&g, DOCUMENTS(inputs, targets, start, B, T, 1), NULL);
        inputs[t] = id;
        for (size_t n = 0; n < N; n++) {
            const bool sees = n / T == t / T && n >= t && start[n] == start[t];
            require(sees || same_bits(before + n, g.losses + n, 1),
                    "token %zu changes the loss of %zu", t, n);
            require(!sees || targets[n] == NO_TARGET || !same_bits(before + n, g.losses + n, 1),
                    "token %zu does not change the loss of %zu", t, n);
        }
    }
    gpt_destroy(&g);
}
END_TEST

START_TEST(recomputing_gives_the_same_bits)
{
    struct gpt all = model(&small_config, GPT_TRAIN);
    const double loss =
        gpt_loss_and_grads(&all, DOCUMENTS(inputs, targets, start, B, T, 1), &dropout);
    for (enum gpt_use use = GPT_TRAIN_RECOMPUTE_GELU; use <= GPT_TRAIN_RECOMPUTE_BLOCK; use++) {
        struct gpt less = model(&small_config, use);
        require(gpt_loss_and_grads(&less, DOCUMENTS(inputs, targets, start, B, T, 1), &dropout) ==
                    loss,
                "use %d: losses differ", (int)use);
        require(same_bits(all.grads, less.grads, all.tensors->total), "use %d: gradients differ",
                (int)use);
        gpt_destroy(&less);
    }
    gpt_destroy(&all);
}
END_TEST

START_TEST(no_targets)
{
    struct gpt g = model(&small_config, GPT_TRAIN);
    for (size_t n = 0; n < N; n++)
        targets[n] = NO_TARGET;
    require(gpt_loss_and_grads(&g, DOCUMENTS(inputs, targets, start, B, T, 1), &dropout) == 0,
            "the loss is not zero");
    for (size_t i = 0; i < g.tensors->total; i++)
        require(g.grads[i] == 0, "gradient %zu", i);
    gpt_destroy(&g);
}
END_TEST

SUITE_FLOAT_DOUBLE("model/documents", documents_equal_separate_rows, micro_batches_equal_one_batch,
                   one_document_per_row_changes_nothing, tokens_affect_only_their_document,
                   recomputing_gives_the_same_bits, no_targets)
