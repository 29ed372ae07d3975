/* test_decode.c: the decoder's logits equal those of the full forward, whether it is given one
 * token, several or all at once, after rewinding, and with a full block. Built for float and
 * for double.
 *
 * Tolerance: 256 roundings, norm-wise for each position. Products of one row sum in another
 * order than those of many rows. Between token and logits lie some hundred operations, each
 * accurate to a few roundings of numbers of size 1. */
#include "model/decode.h"
#include "tests/batch.h"
#include "tests/numbers.h"

#define TOLERANCE (256 * ROUNDOFF)

static const struct model_config models[] = {{.n_layer = 1,
                                              .n_head = 1,
                                              .n_embd = 8,
                                              .block_size = 5,
                                              .vocab_size = 11,
                                              .padded_vocab_size = 16,
                                              .bias = true},
                                             {.n_layer = 2,
                                              .n_head = 3,
                                              .n_embd = 24,
                                              .block_size = 40,
                                              .vocab_size = 67,
                                              .padded_vocab_size = 67,
                                              .bias = true,
                                              .gelu = GELU_ERF},
                                             {.n_layer = 3,
                                              .n_head = 2,
                                              .n_embd = 34,
                                              .block_size = 70,
                                              .vocab_size = 50,
                                              .padded_vocab_size = 64,
                                              .bias = false,
                                              .gelu = GELU_TANH},
                                             {.n_layer = 2,
                                              .n_head = 5,
                                              .n_embd = 5,
                                              .block_size = 17,
                                              .vocab_size = 9,
                                              .padded_vocab_size = 9,
                                              .bias = false,
                                              .gelu = GELU_ERF}};
enum { MODELS = sizeof models / sizeof *models, BLOCK_MAX = 128 };

/* A model with large weights, a text as long as its block, and the expected logits at every
 * position. */
struct subject {
    struct gpt g;
    uint32_t ids[BLOCK_MAX];
    size_t T, V;
    real *expected;
};

static struct subject subject(const struct model_config *c)
{
    struct subject s = {.T = c->block_size, .V = c->vocab_size};
    ck_assert_int_eq(gpt_create(&s.g, tensors_create(c), s.T, GPT_INFER), 0);
    gpt_init(&s.g, 3);
    for (size_t k = 0; k < s.g.tensors->count; k++)
        for (size_t i = 0; i < tensor_file_size(&s.g.tensors->list[k]); i++)
            s.g.params[s.g.tensors->list[k].offset + i] += (real)(0.2 * uniform((uint32_t)k, i));
    for (size_t t = 0; t < s.T; t++)
        s.ids[t] = (uint32_t)((uniform(99, t) + 1) / 2 * (double)s.V);
    s.expected = zeros(s.T * s.V);
    gpt_logits(&s.g, s.expected, BATCH(s.ids, NULL, 1, s.T, 1));
    return s;
}

static void free_subject(struct subject *s)
{
    free(s->expected);
    gpt_destroy(&s->g);
}

static void require_position(const struct subject *s, const real *logits, size_t t,
                             const char *what)
{
    require_within(error_of(logits, s->expected + t * s->V, s->V), TOLERANCE,
                   "%s: block %zu, position %zu", what, s->T, t);
}

/* Decodes the tokens [from, to), n per call, and compares the logits after each call. */
static void feed(struct decoder *d, const struct subject *s, size_t from, size_t to, size_t n,
                 const char *what)
{
    real *logits = zeros(s->V);
    for (size_t t = from; t < to; t += n) {
        const size_t count = to - t < n ? to - t : n;
        decoder_forward(d, logits, s->ids + t, count);
        ck_assert_uint_eq(d->length, t + count);
        require_position(s, logits, t + count - 1, what);
    }
    free(logits);
}

START_TEST(equals_the_full_forward)
{
    for (int k = 0; k < MODELS; k++) {
        struct subject s = subject(&models[k]);
        const size_t chunks[] = {1, 3, 4, s.T - 1, s.T};
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++) {
            struct decoder d;
            ck_assert_int_eq(decoder_create(&d, &s.g, 1, chunks[c]), 0);
            feed(&d, &s, 0, s.T, chunks[c], "from the start");
            ck_assert_uint_eq(d.length, s.T);
            decoder_destroy(&d);
        }
        free_subject(&s);
    }
}
END_TEST

START_TEST(prompts_of_all_lengths_then_single_tokens)
{
    for (int k = 0; k < MODELS; k++) {
        struct subject s = subject(&models[k]);
        struct decoder d;
        ck_assert_int_eq(decoder_create(&d, &s.g, 1, s.T), 0);
        for (size_t prompt = 1; prompt < s.T; prompt += k == 2 ? 7 : 1) {
            decoder_rewind(&d, 0);
            feed(&d, &s, 0, prompt, prompt, "prompt");
            feed(&d, &s, prompt, s.T, 1, "after a prompt");
        }
        decoder_destroy(&d);
        free_subject(&s);
    }
}
END_TEST

START_TEST(rewinding_discards_tokens)
{
    for (int k = 0; k < MODELS; k++) {
        struct subject s = subject(&models[k]);
        struct decoder d;
        ck_assert_int_eq(decoder_create(&d, &s.g, 1, s.T), 0);
        uint32_t wrong[BLOCK_MAX];
        real *logits = zeros(s.V);
        for (size_t t = 0; t < s.T; t++)
            wrong[t] = (s.ids[t] + 1) % (uint32_t)s.V;
        for (size_t keep = 0; keep < s.T; keep++) {
            decoder_forward(&d, logits, wrong + keep,
                            s.T - keep); /* replaces the end of the text */
            decoder_rewind(&d, keep);
            decoder_forward(&d, logits, s.ids + keep, 1);
            require_position(&s, logits, keep, "after rewinding");
        }
        free(logits);
        decoder_destroy(&d);
        free_subject(&s);
    }
}
END_TEST

START_TEST(same_bits_at_any_thread_count)
{
    struct subject s = subject(&models[2]);
    real *first = zeros(s.V), *logits = zeros(s.V);
    for (int t = 0; t < THREAD_COUNTS; t++) {
        omp_set_num_threads(thread_counts[t]);
        struct decoder d;
        ck_assert_int_eq(decoder_create(&d, &s.g, 1, 33), 0);
        decoder_forward(&d, logits, s.ids, 33);
        decoder_forward(&d, logits, s.ids + 33, 1);
        if (t == 0)
            memcpy(first, logits, s.V * sizeof(real));
        require(same_bits(first, logits, s.V), "other bits with %d threads", thread_counts[t]);
        decoder_destroy(&d);
    }
    free(first);
    free(logits);
    free_subject(&s);
}
END_TEST

/* Where the context of each token begins: at the last separator. */
static void find_starts(uint32_t *start, const uint32_t *text, size_t T, uint32_t separator)
{
    for (size_t t = 0; t < T; t++)
        start[t] = text[t] == separator ? (uint32_t)t : t ? start[t - 1] : 0;
}

/* Several texts with a common prompt: the logits of each equal those of the text alone, with
 * attention to its last document only if a token separates documents. */
static void check_texts(uint32_t separator)
{
    enum { TEXTS = 5 };
    for (int k = 0; k < MODELS; k++) {
        struct subject s = subject(&models[k]);
        const size_t V = s.V, T = s.T, prompt = T / 3 + 1;
        uint32_t ids[BLOCK_MAX * TEXTS];
        real *logits = zeros(TEXTS * V), *expected = zeros(TEXTS * T * V);
        for (size_t b = 0; b < TEXTS; b++) {
            uint32_t text[BLOCK_MAX], start[BLOCK_MAX];
            for (size_t t = 0; t < T; t++) {
                text[t] = t < prompt ? s.ids[t] : (uint32_t)((s.ids[t] + b * (t + 1)) % V);
                ids[t * TEXTS + b] = text[t];
            }
            find_starts(start, text, T, separator);
            gpt_logits(&s.g, expected + b * T * V, DOCUMENTS(text, NULL, start, 1, T, 1));
        }
        struct decoder d;
        ck_assert_int_eq(decoder_create(&d, &s.g, TEXTS, TEXTS * 3 > prompt ? TEXTS * 3 : prompt),
                         0);
        d.separator = separator;
        for (int several = 0; several < 2; several++) { /* one token per call, or three */
            decoder_rewind(&d, 0);
            decoder_prompt(&d, logits, s.ids, prompt);
            for (size_t b = 0; b < TEXTS; b++)
                require_within(error_of(logits + b * V, expected + (b * T + prompt - 1) * V, V),
                               TOLERANCE, "prompt, text %zu", b);
            for (size_t t = prompt, n; t < T; t += n) {
                n = several && T - t > 3 ? 3 : 1;
                decoder_forward(&d, logits, ids + t * TEXTS, n);
                for (size_t b = 0; b < TEXTS; b++)
                    require_within(error_of(logits + b * V, expected + (b * T + t + n - 1) * V, V),
                                   TOLERANCE, "text %zu, position %zu", b, t + n - 1);
            }
        }
        decoder_destroy(&d);
        free(logits);
        free(expected);
        free_subject(&s);
    }
}

START_TEST(texts_are_independent)
{
    check_texts(NO_SEPARATOR);
    check_texts(3);
}
END_TEST

SUITE_FLOAT_DOUBLE("model/decode", texts_are_independent, equals_the_full_forward,
                   prompts_of_all_lengths_then_single_tokens, rewinding_discards_tokens,
                   same_bits_at_any_thread_count)
