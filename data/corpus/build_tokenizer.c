/* build_tokenizer.c: the tokenizer of a corpus: learned from the text, or loaded. */
#include "base/stop.h"
#include "base/utf8.h"
#include "data/corpus/tokenize.h"
#include "data/corpus/tokenize_job.h"
#include "data/tokenizer/bpe_files.h"
#include "data/tokenizer/bpe_train.h"
#include "data/tokenizer/word_counter.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- char: the code points that occur --- */

static int see_words(void *seen, size_t thread, size_t slot, const struct word_run *run,
                     struct error *err)
{
    (void)thread, (void)slot, (void)err;
    for (size_t i = 0; i < run->n; i++) {
        const struct word w = run->words[i];
        uint32_t c = 0;
        for (size_t at = w.begin; at < w.end;) {
            at += (size_t)utf8_decode(run->text + at, w.end - at, &c);
#pragma omp atomic write
            ((uint8_t *)seen)[c] = 1;
        }
    }
    return 0;
}

static struct tokenizer *make_char(struct tokenize_job *j, struct error *err)
{
    uint8_t *seen = calloc(CODE_POINTS, 1);
    uint32_t *code_points = malloc(CODE_POINTS * sizeof *code_points);
    struct tokenizer *t = NULL;
    struct pretokenizer *p = NULL;
    const struct pretokenizer_config config = {NULL, j->separator, see_words, NULL, seen, 0};
    if (!seen || !code_points)
        fail(err, "out of memory");
    else if ((p = pretokenizer_create(&config, err)) && read_text(j, "reading", p, err) == 0 &&
             pretokenizer_finish(p, err) == 0) {
        size_t n = 0;
        for (uint32_t c = 0; c < CODE_POINTS; c++)
            if (seen[c])
                code_points[n++] = c;
        t = tokenizer_create_char(code_points, n, err);
    }
    pretokenizer_destroy(p);
    free(seen);
    free(code_points);
    return t;
}

/* --- bpe:SIZE: merges learned from the words --- */

static int count_words(struct tokenize_job *j, const char *regex, struct bytemap *counts,
                       struct error *err)
{
    struct pattern *p = pattern_create(regex, err);
    struct word_counter *c = p ? word_counter_create(p, j->separator, err) : NULL;
    const int status =
        c && read_text(j, "reading", c->input, err) == 0 ? word_counter_finish(c, counts, err) : -1;
    word_counter_destroy(c);
    pattern_destroy(p);
    return status;
}

static void show_merges(void *progress, size_t merges)
{
    progress_set(progress, merges);
}

/* A power of two near a 600th of the bytes, which a small model predicts well. */
static size_t default_size(const struct tokenize_job *j)
{
    size_t size = 512;
    while (size < 16384 && size * 850 < j->total_bytes)
        size *= 2;
    return size + j->plan->n_specials;
}

/* size 0: the default, or fewer tokens if the text gives no more. */
static struct tokenizer *make_bpe(struct tokenize_job *j, size_t size, struct error *err)
{
    const struct tokenize_plan *p = j->plan;
    const char *specials[p->n_specials + 1];
    specials[0] = END_OF_TEXT;
    for (size_t i = 0; i < p->n_specials; i++)
        specials[1 + i] = p->specials[i];
    struct bpe_plan plan = {.vocab_size = size,
                            .at_most = !size,
                            .specials = specials,
                            .n_specials = p->n_specials + 1,
                            .regex = p->pattern ? p->pattern : "gpt2",
                            .progress = show_merges,
                            .context = &j->progress};
    struct bytemap counts = {0};
    struct tokenizer *t = NULL;
    if (count_words(j, plan.regex, &counts, err) == 0) {
        if (!size)
            plan.vocab_size = default_size(j);
        progress_end(&j->progress);
        progress_begin(&j->progress, "merging", plan.vocab_size, "merges", 1);
        if (counts.n == 0)
            fail(err, "%s: no text", p->texts[0]);
        else if (!(t = tokenizer_create_bpe(bpe_train(&counts, &plan, err), err)))
            fail(err, "--tokenizer %s: %s", p->tokenizer, err->text);
    }
    bytemap_free(&counts);
    return t;
}

/* The SIZE of "bpe:SIZE", checked before the text is read. */
static int parse_size(const struct tokenize_plan *p, size_t *size, struct error *err)
{
    const char *text = p->tokenizer + strlen("bpe:");
    char *end;
    const size_t min = BPE_BYTES + 1 + p->n_specials; /* 1 for <|endoftext|> */
    errno = 0;
    const unsigned long long n = strtoull(text, &end, 10);
    if (errno || !isdigit((unsigned char)*text) || *end || n < min || n > BPE_MAX_VOCAB)
        return fail(err,
                    "--tokenizer %s: expected a number of tokens from %zu to %d, as in bpe:8192",
                    p->tokenizer, min, BPE_MAX_VOCAB);
    *size = n;
    return 0;
}

static struct tokenizer *load(const struct tokenize_plan *p, struct error *err)
{
    const struct bpe_hints hints = {p->pattern, p->specials, p->n_specials};
    struct tokenizer *t = tokenizer_load_any(p->tokenizer, &hints, err);
    if (!t)
        fail(err, "--tokenizer: not byte, char, bpe or bpe:SIZE, and not a tokenizer: %s",
             err->text);
    return t;
}

int build_tokenizer(struct tokenize_job *j, struct error *err)
{
    const char *name = j->plan->tokenizer;
    const bool sized = strncmp(name, "bpe:", 4) == 0, learns = sized || !strcmp(name, "bpe");
    size_t size = 0;
    if (sized && parse_size(j->plan, &size, err))
        return -1;
    if (j->total_bytes == 0)
        return fail(err, "%s: no text: %zu file%s with 0 bytes", j->plan->texts[0], j->text.n,
                    j->text.n == 1 ? "" : "s");
    j->text.any_bytes = learns;
    j->tokenizer = learns                  ? make_bpe(j, size, err)
                   : !strcmp(name, "byte") ? tokenizer_create_byte(err)
                   : !strcmp(name, "char") ? make_char(j, err)
                                           : load(j->plan, err);
    progress_end(&j->progress);
    if (!j->tokenizer)
        return -1;
    if (has_documents(j) && (!strcmp(name, "byte") || !strcmp(name, "char")))
        tokenizer_add_end_of_text(j->tokenizer);
    j->text.any_bytes = j->tokenizer->bpe != NULL;
    return 0;
}
