/* word_counter.c: see word_counter.h. Each thread counts in its own table; the tables are added up
 * at the end. */
#include "data/tokenizer/word_counter.h"
#include "base/minmax.h"
#include "data/tokenizer/bpe.h"
#include <omp.h>
#include <stdlib.h>

static int add(struct bytemap *counts, const char *word, size_t n, uint64_t times,
               struct error *err)
{
    struct bytemap_entry *e = bytemap_add(counts, word, n);
    if (!e)
        return fail(err, "out of memory for the words of the text");
    e->value += times;
    return 0;
}

static int count_run(void *counter, size_t thread, size_t slot, const struct word_run *run,
                     struct error *err)
{
    (void)slot;
    struct word_counter *c = counter;
    int status = 0;
    for (size_t i = 0; i < run->n && status == 0; i++) {
        const struct word w = run->words[i];
        if (w.begin < w.end)
            status = add(&c->counts[thread], run->text + w.begin,
                         size_min(w.end - w.begin, BPE_MAX_TOKEN), 1, err);
    }
    return status;
}

struct word_counter *word_counter_create(const struct pattern *p, const char *separator,
                                         struct error *err)
{
    struct word_counter *c = calloc(1, sizeof *c);
    if (!c || !(c->counts = calloc((size_t)omp_get_max_threads(), sizeof *c->counts))) {
        free(c);
        return fail_null(err, "out of memory");
    }
    c->threads = (size_t)omp_get_max_threads();
    const struct pretokenizer_config config = {p, separator, count_run, NULL, c, 0};
    if ((c->input = pretokenizer_create(&config, err)))
        return c;
    word_counter_destroy(c);
    return NULL;
}

void word_counter_destroy(struct word_counter *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->threads; i++)
        bytemap_free(&c->counts[i]);
    free(c->counts);
    pretokenizer_destroy(c->input);
    free(c);
}

int word_counter_finish(struct word_counter *c, struct bytemap *counts, struct error *err)
{
    if (pretokenizer_finish(c->input, err))
        return -1;
    for (size_t i = 1; i < c->threads; i++) {
        const struct bytemap *from = &c->counts[i];
        for (size_t k = 0; k < from->n; k++) {
            const struct bytemap_entry *e = &from->entries[k];
            if (add(&c->counts[0], bytemap_key(from, e), e->length, e->value, err))
                return -1;
        }
        bytemap_free(&c->counts[i]);
    }
    *counts = c->counts[0];
    c->counts[0] = (struct bytemap){0};
    return 0;
}
