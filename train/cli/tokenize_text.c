/* tokenize_text.c: from the text to tokens: the tokenizer, where it is made of the text, and the encoding. See tokenize.h. */
#include "base/stop.h"
#include "base/utf8.h"
#include "data/encoder.h"
#include "data/tokenizer/bpe_train.h"
#include "data/tokenizer/word_counter.h"
#include "train/cli/tokenize.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *separator(const struct tokenize_job *j)
{
    return j->options->separator ? j->options->separator : "";
}

/* Begins a reading of all files: they are `total_bytes` long. */
static void begin_reading(struct tokenize_job *j, const char *what)
{
    j->bytes = 0;
    progress_begin(&j->progress, what, j->total_bytes, "MB", 1e6);
}

static int went_on(struct tokenize_job *j, size_t n, struct error *err)
{
    j->bytes += n;
    progress_set(&j->progress, j->bytes);
    return stop_requested() ? fail(err, "stopped") : 0;
}

/* --- char: the alphabet --- */

struct alphabet {
    struct tokenize_job *job;
    struct pretokenizer *words;
    uint8_t *seen; /* of each code point */
};

static int see_words(void *context, size_t thread, size_t slot, const struct word_run *run,
                     struct error *err)
{
    (void)thread, (void)slot, (void)err;
    const struct alphabet *a = context;
    for (size_t i = 0; i < run->n; i++) {
        const struct word w = run->words[i];
        uint32_t c = 0;
        for (size_t at = w.begin; at < w.end;) {
            at += (size_t)utf8_decode(run->text + at, w.end - at, &c);
#pragma omp atomic write
            a->seen[c] = 1;
        }
    }
    return 0;
}

static int see_piece(void *context, const struct text_file *file, const char *piece, size_t n,
                     uint64_t offset, struct error *err)
{
    (void)file, (void)offset;
    struct alphabet *a = context;
    return went_on(a->job, n, err) != 0 || pretokenizer_append(a->words, piece, n, err) != 0 ? -1
                                                                                             : 0;
}

static struct tokenizer *make_char(struct tokenize_job *j, struct error *err)
{
    struct alphabet a = {j, NULL, calloc(CODE_POINTS, 1)};
    uint32_t *code_points = malloc(CODE_POINTS * sizeof *code_points);
    struct tokenizer *t = NULL;
    const struct pretokenizer_config config = {
        NULL, separator(j), strlen(separator(j)), see_words, NULL, &a, 0};
    if (!a.seen || !code_points)
        fail(err, "out of memory");
    else if ((a.words = pretokenizer_create(&config, err)) &&
             text_read(&j->text, see_piece, &a, err) == 0 &&
             pretokenizer_finish(a.words, err) == 0) {
        size_t n = 0;
        for (uint32_t c = 0; c < CODE_POINTS; c++)
            if (a.seen[c])
                code_points[n++] = c;
        t = tokenizer_create_char(code_points, n, err);
    }
    pretokenizer_destroy(a.words);
    free(a.seen);
    free(code_points);
    return t;
}

/* --- bpe:SIZE: the words --- */

struct counting {
    struct tokenize_job *job;
    struct word_counter *counter;
};

static int count_piece(void *context, const struct text_file *file, const char *piece, size_t n,
                       uint64_t offset, struct error *err)
{
    (void)file, (void)offset;
    struct counting *c = context;
    if (n == 0)
        return c->job->options->document_files ? pretokenizer_end_document(c->counter->input, err)
                                               : 0;
    return went_on(c->job, n, err) != 0 ||
                   pretokenizer_append(c->counter->input, piece, n, err) != 0
               ? -1
               : 0;
}

static void show_merges(void *progress, size_t merges, size_t of)
{
    (void)of;
    progress_set(progress, merges);
}

static int count_words(struct tokenize_job *j, const char *regex, struct bytemap *counts,
                       struct error *err)
{
    struct counting c = {j, NULL};
    struct pattern *p = pattern_create(regex, err);
    int status = -1;
    if (p && (c.counter = word_counter_create(p, separator(j), strlen(separator(j)), err)))
        status = text_read(&j->text, count_piece, &c, err) != 0 ||
                         word_counter_finish(c.counter, counts, err) != 0
                     ? -1
                     : 0;
    word_counter_destroy(c.counter);
    pattern_destroy(p);
    return status;
}

static struct tokenizer *make_bpe(struct tokenize_job *j, size_t size, struct error *err)
{
    const struct tokenize_options *o = j->options;
    const char *specials[TOKENIZE_SPECIALS + 1] = {"<|endoftext|>"};
    memcpy(specials + 1, o->specials, o->n_specials * sizeof *specials);
    struct bpe_plan plan = {
        size,        specials,    o->n_specials + 1, o->pattern ? o->pattern : "gpt2",
        show_merges, &j->progress};
    struct bytemap counts = {0};
    struct error detail;
    struct tokenizer *t = NULL;
    if (count_words(j, plan.regex, &counts, err) == 0) {
        progress_end(&j->progress);
        progress_begin(&j->progress, "merging", size, "merges", 1);
        if (counts.n == 0)
            fail(err, "%s: no text", o->texts[0]);
        else if (!(t = tokenizer_create_bpe(bpe_train(&counts, &plan, &detail), &detail)))
            fail(err, "--tokenizer %s: %s", o->tokenizer, detail.text);
    }
    bytemap_free(&counts);
    return t;
}

/* --- the tokenizer --- */

/* Of "bpe:SIZE", before the text is read, which may take long. */
static int parse_size(const struct tokenize_options *o, const char *name, size_t *size,
                      struct error *err)
{
    char *end;
    const size_t least = BPE_BYTES + 1 + o->n_specials; /* <|endoftext|> */
    errno = 0;
    const unsigned long long n = strtoull(name, &end, 10);
    if (errno || !isdigit((unsigned char)*name) || *end || n < least || n > BPE_MAX_VOCAB)
        return fail(
            err, "--tokenizer bpe:%s: expected a number of tokens from %zu to %d, as in bpe:8192",
            name, least, BPE_MAX_VOCAB);
    *size = n;
    return 0;
}

static struct tokenizer *load(const struct tokenize_options *o, struct error *err)
{
    const struct bpe_hints hints = {o->pattern, o->specials, o->n_specials};
    struct error detail;
    struct tokenizer *t = tokenizer_load_any(o->tokenizer, &hints, &detail);
    if (!t)
        fail(err, "--tokenizer: not byte, char or bpe:SIZE, and no tokenizer: %s", detail.text);
    return t;
}

int tokenize_prepare(struct tokenize_job *j, struct error *err)
{
    const char *name = j->options->tokenizer;
    size_t size = 0;
    const bool trains = strncmp(name, "bpe:", 4) == 0;
    if (trains && parse_size(j->options, name + 4, &size, err) != 0)
        return -1;
    begin_reading(j, "reading");
    if (strcmp(name, "byte") == 0)
        j->tokenizer = tokenizer_create_byte(err);
    else if (strcmp(name, "char") == 0)
        j->tokenizer = j->total_bytes ? make_char(j, err) : NULL;
    else if (trains) {
        j->text.any_bytes = true;
        j->tokenizer = j->total_bytes ? make_bpe(j, size, err) : NULL;
    } else
        j->tokenizer = load(j->options, err);
    progress_end(&j->progress);
    if (j->total_bytes == 0)
        return fail(err, "%s: no text: %zu file%s with 0 bytes", j->options->texts[0], j->text.n,
                    j->text.n == 1 ? "" : "s");
    if (j->tokenizer)
        j->text.any_bytes = tokenizer_bpe(j->tokenizer) != NULL;
    return j->tokenizer ? 0 : -1;
}

/* --- encoding --- */

struct encoding {
    struct tokenize_job *job;
    struct encoder *encoder;
    bool spool_failed; /* its line names the folder, not a text */
};

static int spool_ids(void *context, const uint32_t *ids, size_t n, struct error *err)
{
    struct encoding *e = context;
    e->job->tokens += n;
    for (size_t i = 0; i < n; i++)
        e->job->documents += (ids[i] & ENCODER_DOCUMENT) != 0;
    if (temp_tokens_append(e->job->spool, ids, n, err) == 0)
        return 0;
    e->spool_failed = true;
    return -1;
}

static int encode_piece(void *context, const struct text_file *file, const char *piece, size_t n,
                        uint64_t offset, struct error *err)
{
    struct encoding *e = context;
    struct error detail;
    (void)offset;
    int status;
    if (went_on(e->job, n, err) != 0)
        return -1;
    if (n > 0)
        status = pretokenizer_append(encoder_input(e->encoder), piece, n, &detail);
    else if (e->job->options->document_files)
        status = pretokenizer_end_document(encoder_input(e->encoder), &detail);
    else
        status = encoder_end_file(e->encoder, &detail);
    return status == 0       ? 0
           : e->spool_failed ? fail(err, "%s", detail.text)
                             : fail(err, "%s: %s", file->path, detail.text);
}

int tokenize_encode(struct tokenize_job *j, struct error *err)
{
    struct encoding e = {.job = j};
    const bool documents = j->options->separator || j->options->document_files;
    const struct encoder_config config = {j->tokenizer, separator(j), strlen(separator(j)),
                                          documents,    spool_ids,    &e};
    begin_reading(j, "encoding");
    int status = -1;
    if ((j->spool = temp_tokens_create(j->options->dir, err)) &&
        (e.encoder = encoder_create(&config, err)))
        status =
            text_read(&j->text, encode_piece, &e, err) != 0 || encoder_finish(e.encoder, err) != 0
                ? -1
                : 0;
    encoder_destroy(e.encoder);
    progress_end(&j->progress);
    if (status == 0 && j->tokens == 0)
        status = fail(err, "%s: no text but separators", j->options->texts[0]);
    return status;
}
