/* encoder.c: a text, as it streams by, to tokens, by all cores (words.h); and its documents. */
#include "data/encoder.h"
#include "data/tokenizer/words.h"
#include <omp.h>
#include <stdlib.h>

static const uint32_t DOCUMENT_END = UINT32_MAX; /* among the ids of a run */

struct run_ids {
    uint32_t *ids;
    size_t n, room;
};

struct encoder {
    struct encoder_config config;
    struct words *words;
    size_t threads;
    struct bpe_scratch **scratch; /* a thread each */
    struct run_ids *runs;         /* WORDS_SLOTS */
    bool inside;                  /* a document has begun */
    bool has_end;
    uint32_t end_of_text;
};

static int reserve(struct run_ids *r, size_t n, struct error *err)
{
    if (r->room - r->n >= n)
        return 0;
    const size_t room = 2 * r->room + n;
    uint32_t *ids = realloc(r->ids, room * sizeof *ids);
    if (!ids)
        return fail(err, "out of memory for %zu tokens", room);
    r->ids = ids;
    r->room = room;
    return 0;
}

static int encode_word(struct encoder *e, size_t thread, struct run_ids *r, const char *word,
                       size_t n, uint64_t offset, struct error *err)
{
    const struct bpe *b = tokenizer_bpe(e->config.tokenizer);
    size_t count;
    if (reserve(r, n, err) != 0)
        return -1;
    if (b)
        count = bpe_encode_word(b, e->scratch[thread], word, n, r->ids + r->n);
    else if (tokenizer_encode_piece(e->config.tokenizer, word, n, offset, r->ids + r->n, &count,
                                    err) != 0)
        return -1;
    if (count == SIZE_MAX)
        return fail(err, "out of memory for a word of %zu bytes", n);
    r->n += count;
    return 0;
}

static int take(void *context, size_t thread, size_t slot, const struct word_run *run,
                struct error *err)
{
    struct encoder *e = context;
    struct run_ids *r = &e->runs[slot];
    size_t begin = run->begin;
    r->n = 0;
    for (size_t i = 0; i < run->n; i++) {
        const size_t end = run->marks[i] & ~WORDS_DOCUMENT;
        if (!(run->marks[i] & WORDS_DOCUMENT)) {
            if (encode_word(e, thread, r, run->text + begin, end - begin, run->offset + begin,
                            err) != 0)
                return -1;
        } else {
            if (reserve(r, 1, err) != 0)
                return -1;
            r->ids[r->n++] = DOCUMENT_END;
        }
        begin = end;
    }
    return 0;
}

/* What stands behind the last token of a document. */
static int end_document(struct encoder *e, struct error *err)
{
    if (!e->inside)
        return 0;
    e->inside = false;
    return e->config.documents && e->has_end
               ? e->config.sink(e->config.context, &e->end_of_text, 1, err)
               : 0;
}

static int commit(void *context, size_t slot, struct error *err)
{
    struct encoder *e = context;
    struct run_ids *r = &e->runs[slot];
    for (size_t i = 0, end; i < r->n; i = end) {
        for (end = i; end < r->n && r->ids[end] != DOCUMENT_END; end++)
            ;
        if (end > i && !e->inside) {
            e->inside = true;
            if (e->config.documents)
                r->ids[i] |= ENCODER_DOCUMENT;
        }
        if (end > i && e->config.sink(e->config.context, r->ids + i, end - i, err) != 0)
            return -1;
        if (end < r->n) {
            end++;
            if (end_document(e, err) != 0)
                return -1;
        }
    }
    return 0;
}

struct encoder *encoder_create(const struct encoder_config *config, struct error *err)
{
    struct encoder *e = calloc(1, sizeof *e);
    const struct bpe *b = tokenizer_bpe(config->tokenizer);
    const size_t threads = (size_t)omp_get_max_threads();
    if (!e || !(e->scratch = calloc(threads, sizeof(void *))) ||
        !(e->runs = calloc(WORDS_SLOTS, sizeof *e->runs))) {
        fail(err, "out of memory");
        encoder_destroy(e);
        return NULL;
    }
    e->config = *config;
    e->threads = threads;
    e->has_end = tokenizer_end_of_text(config->tokenizer, &e->end_of_text);
    int status = 0;
    for (size_t i = 0; b && i < threads && status == 0; i++)
        status = (e->scratch[i] = bpe_scratch_create(err)) ? 0 : -1;
    const struct words_config words = {
        b ? bpe_pattern(b) : NULL, config->separator, config->separator_length, take, commit, e, 0};
    if (status == 0 && (e->words = words_create(&words, err)))
        return e;
    encoder_destroy(e);
    return NULL;
}

void encoder_destroy(struct encoder *e)
{
    if (!e)
        return;
    for (size_t i = 0; e->scratch && i < e->threads; i++)
        bpe_scratch_destroy(e->scratch[i]);
    for (size_t i = 0; e->runs && i < WORDS_SLOTS; i++)
        free(e->runs[i].ids);
    free(e->scratch);
    free(e->runs);
    words_destroy(e->words);
    free(e);
}

int encoder_append(struct encoder *e, const char *text, size_t n, struct error *err)
{
    return words_append(e->words, text, n, err);
}

int encoder_end_file(struct encoder *e, struct error *err)
{
    return tokenizer_bpe(e->config.tokenizer) ? 0 : words_finish(e->words, err);
}

int encoder_end_document(struct encoder *e, struct error *err)
{
    return words_end_document(e->words, err);
}

int encoder_finish(struct encoder *e, struct error *err)
{
    return words_finish(e->words, err) != 0 ? -1 : end_document(e, err);
}
