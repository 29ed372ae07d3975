/* word_counts.c: see word_counts.h. Each thread counts in a table of its own, so none waits; they are added up at the end. */
#include "data/tokenizer/word_counts.h"
#include "data/tokenizer/bpe.h"
#include "data/tokenizer/words.h"
#include <omp.h>
#include <stdlib.h>
#include <string.h>

int word_counts_add(struct word_counts *w, const char *word, size_t n, uint64_t times)
{
    const uint32_t i = bytemap_add(&w->words, word, n);
    if (i == BYTEMAP_NONE)
        return -1;
    if (i >= w->capacity) {
        const size_t capacity = w->words.capacity;
        uint64_t *counts = realloc(w->counts, capacity * sizeof *counts);
        if (!counts)
            return -1;
        memset(counts + w->capacity, 0, (capacity - w->capacity) * sizeof *counts);
        w->counts = counts;
        w->capacity = capacity;
    }
    w->counts[i] += times;
    return 0;
}

static int add_all(struct word_counts *into, const struct word_counts *from)
{
    for (uint32_t i = 0; i < from->words.n; i++) {
        size_t n;
        const char *word = bytemap_key(&from->words, i, &n);
        if (word_counts_add(into, word, n, from->counts[i]) != 0)
            return -1;
    }
    return 0;
}

void word_counts_free(struct word_counts *w)
{
    bytemap_free(&w->words);
    free(w->counts);
    *w = (struct word_counts){0};
}

struct word_counter {
    struct words *words;
    size_t threads;
    struct word_counts *counts; /* a thread each */
};

static int take(void *context, size_t thread, size_t slot, const struct word_run *run,
                struct error *err)
{
    (void)slot;
    struct word_counts *counts = &((struct word_counter *)context)->counts[thread];
    size_t begin = run->begin;
    for (size_t i = 0; i < run->n; i++) {
        const size_t end = run->marks[i] & ~WORDS_DOCUMENT;
        const size_t n = end - begin < BPE_MAX_TOKEN ? end - begin : BPE_MAX_TOKEN;
        if (!(run->marks[i] & WORDS_DOCUMENT) &&
            word_counts_add(counts, run->text + begin, n, 1) != 0)
            return fail(err, "out of memory for the words of the text");
        begin = end;
    }
    return 0;
}

struct word_counter *word_counter_create(const struct pattern *p, const char *separator,
                                         size_t separator_length, struct error *err)
{
    struct word_counter *c = calloc(1, sizeof *c);
    const size_t threads = (size_t)omp_get_max_threads();
    if (!c || !(c->counts = calloc(threads, sizeof *c->counts))) {
        free(c);
        fail(err, "out of memory");
        return NULL;
    }
    c->threads = threads;
    const struct words_config config = {p, separator, separator_length, take, NULL, c, 0};
    if ((c->words = words_create(&config, err)))
        return c;
    word_counter_destroy(c);
    return NULL;
}

void word_counter_destroy(struct word_counter *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->threads; i++)
        word_counts_free(&c->counts[i]);
    free(c->counts);
    words_destroy(c->words);
    free(c);
}

int word_counter_append(struct word_counter *c, const char *text, size_t n, struct error *err)
{
    return words_append(c->words, text, n, err);
}

int word_counter_end_document(struct word_counter *c, struct error *err)
{
    return words_end_document(c->words, err);
}

int word_counter_finish(struct word_counter *c, struct word_counts *counts, struct error *err)
{
    if (words_finish(c->words, err) != 0)
        return -1;
    for (size_t i = 1; i < c->threads; i++) {
        if (add_all(&c->counts[0], &c->counts[i]) != 0)
            return fail(err, "out of memory for the words of the text");
        word_counts_free(&c->counts[i]);
    }
    *counts = c->counts[0];
    c->counts[0] = (struct word_counts){0};
    return 0;
}
