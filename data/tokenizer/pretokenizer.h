/* pretokenizer.h: splits a text stream into words (pre-tokens) and documents, on all cores.
 *
 * The words depend neither on how the text is divided into pieces nor on the number of threads.
 * Memory is a few MiB per thread, or that of the longest word. A run of invalid UTF-8 is a word.
 */
#ifndef PRETOKENIZER_H
#define PRETOKENIZER_H

#include "base/error.h"
#include "data/tokenizer/pattern.h"
#include <stddef.h>
#include <stdint.h>

/* Bytes [begin, end) of a run's text; if these are equal, a document ends here. */
struct word {
    uint32_t begin, end;
};
/* Consecutive words. */
struct word_run {
    const char *text;
    uint64_t offset; /* of text[0], from the beginning or the last pretokenizer_finish */
    const struct word *words;
    size_t n;
};

enum { PRETOKENIZER_SLOTS = 4096 };

struct pretokenizer_config {
    const struct pattern *pattern; /* NULL: words are arbitrary pieces of complete characters */
    const char *separator;         /* separates documents and belongs to none; "": no separator */
    /* Called once per run, concurrently by several threads, which are numbered below the value of
     * omp_get_max_threads() at creation. `slot` < PRETOKENIZER_SLOTS identifies the run. */
    int (*take)(void *context, size_t thread, size_t slot, const struct word_run *run,
                struct error *err);
    /* Called afterwards, once per run, in the order of the text. May be NULL. */
    int (*commit)(void *context, size_t slot, struct error *err);
    void *context;
    size_t batch; /* bytes processed together; 0: 2 MiB per thread. Does not affect the words */
};

struct pretokenizer;
struct pretokenizer *pretokenizer_create(const struct pretokenizer_config *config,
                                         struct error *err);
int pretokenizer_append(struct pretokenizer *p, const char *bytes, size_t n, struct error *err);
/* Ends a document: words do not continue across this point. */
int pretokenizer_end_document(struct pretokenizer *p, struct error *err);
/* Ends a file: without a pattern, offsets count from here. Words of a pattern continue. */
int pretokenizer_end_file(struct pretokenizer *p, struct error *err);
/* Takes the remaining words. */
int pretokenizer_finish(struct pretokenizer *p, struct error *err);
void pretokenizer_destroy(struct pretokenizer *p);

#endif
