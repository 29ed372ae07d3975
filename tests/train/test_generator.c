/* test_generator.c: texts grow beyond the context, do not depend on each other, and begin where
 * they should. The model has learned nothing, so that its choices depend on the random numbers. */
#include "tests/trainer_fixture.h"
#include "train/generator.h"

enum { LONG = 60 /* tokens, several times block_size */ };

static struct trainer trainer;

static void enter(enum division division, bool masks)
{
    make_data(division);
    struct config c = small();
    c.data.mask_documents = masks;
    trainer = begin(&c);
}

static struct generation plan(void)
{
    return generation_of(&trainer.model, trainer.tokenizer, &trainer.config, &trainer.state);
}

/* The tokens of text b after n have been generated, with the prompt; the caller frees them. */
static uint32_t *generate(const struct generation *p, size_t n, size_t b)
{
    struct generator g;
    OK(generator_create(&g, p, &err));
    g.sampler.temperature = 1;
    g.sampler.top_p = 1;
    g.sampler.seed = 7;
    for (size_t i = 0; i < n; i++)
        OK(generator_next(&g, &err));
    uint32_t *ids = malloc(g.n * sizeof *ids);
    for (size_t i = 0; i < g.n; i++)
        ids[i] = g.ids[i * g.texts + b];
    generator_destroy(&g);
    return ids;
}

/* The logits after the tokens [begin, end), by a decoder of its own. */
static void logits_of(float *logits, const uint32_t *ids, size_t begin, size_t end)
{
    struct decoder d;
    ck_assert_int_eq(decoder_create(&d, &trainer.model, 1, trainer.config.model.block_size), 0);
    decoder_prompt(&d, logits, ids + begin, end - begin);
    decoder_destroy(&d);
}

/* When the context is full, its newer half stays: each token is drawn with the random number of its
 * position from the logits of that context. */
START_TEST(the_newer_half_stays)
{
    enter(STREAM, false);
    struct generation p = plan();
    p.prompt = "12 squ";
    const size_t T = trainer.config.model.block_size, V = trainer.tokenizer->vocab_size, prompt = 6;
    uint32_t *ids = generate(&p, LONG, 0);
    float *logits = malloc(V * sizeof *logits);
    struct sampler s;
    ck_assert_int_eq(sampler_create(&s, V), 0);
    s.temperature = 1;
    s.top_p = 1;
    s.seed = 7;
    size_t begin = 0, rolled = 0;
    for (size_t n = prompt; n < prompt + LONG; n++) {
        if (n - begin > T) {
            begin = n - (T + 1) / 2;
            rolled++;
        }
        logits_of(logits, ids, begin, n);
        ck_assert_msg(sampler_next(&s, logits, n - prompt) == ids[n], "token %zu", n);
    }
    ck_assert_uint_ge(rolled, 5);
    sampler_destroy(&s);
    free(logits);
    free(ids);
    trainer_destroy(&trainer);
}
END_TEST

/* Text number k is the same whichever texts are generated with it. */
START_TEST(texts_do_not_depend_on_each_other)
{
    enter(STREAM, false);
    struct generation several = plan(), one = plan();
    several.texts = 4;
    several.prompt = one.prompt = "1";
    uint32_t *first = NULL;
    for (size_t k = 0; k < 4; k++) {
        one.first = k;
        uint32_t *a = generate(&several, LONG, k), *b = generate(&one, LONG, 0);
        ck_assert_mem_eq(a, b, (LONG + 1) * sizeof *a);
        if (first)
            ck_assert_int_ne(memcmp(first, a, (LONG + 1) * sizeof *a), 0);
        else
            first = a;
        if (first != a)
            free(a);
        free(b);
    }
    free(first);
    trainer_destroy(&trainer);
}
END_TEST

/* Without a prompt, a text begins with the token that ends documents, if there are any. */
START_TEST(texts_begin_documents)
{
    uint32_t end;
    for (int masks = 0; masks < 2; masks++) {
        enter(ENDED, masks);
        struct generation p = plan();
        ck_assert(p.documents && p.masked == masks);
        ck_assert(tokenizer_end_of_text(trainer.tokenizer, &end));
        uint32_t *ids = generate(&p, 1, 0);
        ck_assert_uint_eq(ids[0], end);
        free(ids);
        struct generator g; /* with masks, the token begins a new context wherever it occurs */
        OK(generator_create(&g, &p, &err));
        ck_assert_uint_eq(g.decoder.separator, masks ? end : NO_SEPARATOR);
        generator_destroy(&g);
        p.prompt = "<|endoftext|>7";
        p.special = true;
        ids = generate(&p, 1, 0);
        ck_assert_uint_eq(ids[0], end);
        free(ids);
        p.special = false; /* ordinary text */
        ids = generate(&p, 1, 0);
        ck_assert_uint_ne(ids[0], end);
        free(ids);
        trainer_destroy(&trainer);
    }
    enter(STREAM, false);
    struct generation p = plan();
    ck_assert(!p.documents);
    uint32_t *ids = generate(&p, 1, 0);
    size_t length;
    ck_assert_str_eq(tokenizer_bytes(trainer.tokenizer, ids[0], &length), "\n");
    free(ids);
    p.prompt = "x?";
    struct generator g;
    ck_assert_int_eq(generator_create(&g, &p, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "--prompt: "));
    trainer_destroy(&trainer);
}
END_TEST

SUITE("train/generator", the_newer_half_stays, texts_do_not_depend_on_each_other,
      texts_begin_documents)
