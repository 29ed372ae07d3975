/* word_counts.h: the words of a text and how often each occurs: all that training a byte-pair encoding needs of it. */
#ifndef WORD_COUNTS_H
#define WORD_COUNTS_H

#include "base/error.h"
#include "data/tokenizer/bytemap.h"
#include "data/tokenizer/pattern.h"

struct word_counts {
    struct bytemap words;
    uint64_t *counts; /* by the word's number */
    size_t capacity;
};

/* -1 where memory is short. */
int word_counts_add(struct word_counts *w, const char *word, size_t n, uint64_t times);
void word_counts_free(struct word_counts *w);

/* Counts a text as it streams by, on all cores; separators between documents (length 0: there are none) are no words. Words stay below
 * BPE_MAX_TOKEN bytes: of a longer one only so many count. */
struct word_counter;
struct word_counter *word_counter_create(const struct pattern *p, const char *separator,
                                         size_t separator_length, struct error *err);
int word_counter_append(struct word_counter *c, const char *text, size_t n, struct error *err);
int word_counter_end_document(struct word_counter *c, struct error *err);
/* The counts, which are the caller's from then on. */
int word_counter_finish(struct word_counter *c, struct word_counts *counts, struct error *err);
void word_counter_destroy(struct word_counter *c);

#endif
