/* words.h: a text, as it streams by, cut into words and documents by all cores.
 *
 * The words do not depend on how the text comes in pieces, nor on the number of threads. Memory is a few MiB a thread, and that of the
 * longest word.
 */
#ifndef WORDS_H
#define WORDS_H

#include "base/error.h"
#include "data/tokenizer/pattern.h"
#include <stddef.h>
#include <stdint.h>

/* A run of words. Word i goes from where the one before it ended (`begin` for the first) to marks[i]. A mark with WORDS_DOCUMENT is no
 * word: the document ends here, and the next one, behind the separator, begins at the mark without that bit. */
struct word_run {
    const char *text;
    uint64_t
        offset; /* of text[0], from the beginning, or from the last words_finish or words_end_document */
    size_t begin, n;
    const uint32_t *marks;
};
#define WORDS_DOCUMENT ((uint32_t)1 << 31)

struct words_config {
    const struct pattern *pattern; /* NULL: words are any pieces of whole characters */
    const char
        *separator; /* what stands between documents and belongs to none; length 0: nothing does */
    size_t separator_length;
    /* take: one call a run, at the same time on several threads (numbered from 0, below omp_get_max_threads() as it was when the stream
     * was made). commit: afterwards, one call a run, in the order of the text. `slot` tells the runs between two rounds of commits
     * apart, and is below WORDS_SLOTS. */
    int (*take)(void *context, size_t thread, size_t slot, const struct word_run *run,
                struct error *err);
    int (*commit)(void *context, size_t slot, struct error *err);
    void *context;
    size_t
        batch; /* bytes of text that are looked at together; 0: 2 MiB a thread. The result does not depend on it */
};
enum { WORDS_SLOTS = 4096 };

/* Invalid UTF-8 divides words: a run of bytes that is none is a word. */
struct words;
struct words *words_create(const struct words_config *config, struct error *err);
int words_append(struct words *w, const char *bytes, size_t n, struct error *err);
/* What was appended before, and what will be, are two documents. */
int words_end_document(struct words *w, struct error *err);
int words_finish(struct words *w, struct error *err);
void words_destroy(struct words *w);

#endif
