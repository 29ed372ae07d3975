/* encoder.c: see encoder.h. */
#include "data/corpus/encoder.h"
#include "base/array.h"
#include <omp.h>
#include <stdlib.h>

static const uint32_t DOCUMENT_END = UINT32_MAX; /* among the ids of a run */

struct run_ids {
    uint32_t *ids;
    size_t n, capacity;
};

struct encoder {
    struct encoder_config config;
    struct pretokenizer *input;
    size_t threads;
    struct bpe_workspace **workspaces; /* of each thread, for bpe */
    struct run_ids *runs;              /* (PRETOKENIZER_SLOTS) */
    bool inside;                       /* a document has begun */
    bool has_end;
    uint32_t end_of_text;
};

/* Appends the tokens of a word at `offset` of the file. */
static int encode_word(struct encoder *e, size_t thread, struct run_ids *r, const char *word,
                       size_t n, uint64_t offset, struct error *err)
{
    const struct tokenizer *t = e->config.tokenizer;
    size_t count = 0;
    if (!array_reserve(&r->ids, &r->capacity, r->n + n))
        return fail(err, "out of memory for %zu tokens", r->n + n);
    if (!t->bpe) {
        if (tokenizer_encode_piece(t, word, n, offset, r->ids + r->n, &count, err))
            return -1;
    } else if ((count = bpe_encode_word(t->bpe, e->workspaces[thread], word, n, r->ids + r->n)) ==
               SIZE_MAX)
        return fail(err, "out of memory for a word of %zu bytes", n);
    r->n += count;
    return 0;
}

static int encode_run(void *encoder, size_t thread, size_t slot, const struct word_run *run,
                      struct error *err)
{
    struct encoder *e = encoder;
    struct run_ids *r = &e->runs[slot];
    r->n = 0;
    for (size_t i = 0; i < run->n; i++) {
        const struct word w = run->words[i];
        if (w.begin < w.end) {
            if (encode_word(e, thread, r, run->text + w.begin, w.end - w.begin,
                            run->offset + w.begin, err))
                return -1;
        } else if (array_reserve(&r->ids, &r->capacity, r->n + 1))
            r->ids[r->n++] = DOCUMENT_END;
        else
            return fail(err, "out of memory for %zu tokens", r->n);
    }
    return 0;
}

static int end_document(struct encoder *e, struct error *err)
{
    const struct encoder_config *c = &e->config;
    const bool append = e->inside && c->documents && e->has_end;
    e->inside = false;
    return append ? c->sink(c->context, &e->end_of_text, 1, err) : 0;
}

/* Passes the ids of a run on, document by document. */
static int pass_on(void *encoder, size_t slot, struct error *err)
{
    struct encoder *e = encoder;
    const struct encoder_config *c = &e->config;
    const struct run_ids *r = &e->runs[slot];
    for (size_t i = 0, end; i < r->n; i = end + 1) {
        for (end = i; end < r->n && r->ids[end] != DOCUMENT_END; end++)
            ;
        if (end > i && !e->inside && c->documents)
            r->ids[i] |= DOCUMENT_BEGIN;
        e->inside |= end > i;
        if ((end > i && c->sink(c->context, r->ids + i, end - i, err)) ||
            (end < r->n && end_document(e, err)))
            return -1;
    }
    return 0;
}

struct encoder *encoder_create(const struct encoder_config *config, struct error *err)
{
    struct encoder *e = calloc(1, sizeof *e);
    const struct bpe *b = config->tokenizer->bpe;
    int status = 0;
    if (e) {
        e->config = *config;
        e->threads = (size_t)omp_get_max_threads();
        e->has_end = tokenizer_end_of_text(config->tokenizer, &e->end_of_text);
        e->workspaces = calloc(e->threads, sizeof *e->workspaces);
        e->runs = calloc(PRETOKENIZER_SLOTS, sizeof *e->runs);
    }
    if (!e || !e->workspaces || !e->runs)
        status = fail(err, "out of memory");
    for (size_t i = 0; b && status == 0 && i < e->threads; i++)
        status = (e->workspaces[i] = bpe_workspace_create(err)) ? 0 : -1;
    const struct pretokenizer_config input = {
        b ? b->pattern : NULL, config->separator, encode_run, pass_on, e, 0};
    if (status == 0 && (e->input = pretokenizer_create(&input, err)))
        return e;
    encoder_destroy(e);
    return NULL;
}

void encoder_destroy(struct encoder *e)
{
    if (!e)
        return;
    for (size_t i = 0; e->workspaces && i < e->threads; i++)
        bpe_workspace_destroy(e->workspaces[i]);
    for (size_t i = 0; e->runs && i < PRETOKENIZER_SLOTS; i++)
        free(e->runs[i].ids);
    free(e->workspaces);
    free(e->runs);
    pretokenizer_destroy(e->input);
    free(e);
}

struct pretokenizer *encoder_input(struct encoder *e)
{
    return e->input;
}

int encoder_finish(struct encoder *e, struct error *err)
{
    return pretokenizer_finish(e->input, err) ? -1 : end_document(e, err);
}
