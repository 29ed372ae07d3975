/* word_counter.h: counts the words of a text, as training a byte-pair encoding needs them. */
#pragma once

#include "data/tokenizer/bytemap.h"
#include "data/tokenizer/pretokenizer.h"

struct word_counter {
    struct pretokenizer *input; /* takes the text */
    size_t threads;
    struct bytemap *counts; /* of each thread */
};

/* For a text with separators between documents ("": none). Of each word, at most BPE_MAX_TOKEN
 * bytes are counted. */
struct word_counter *word_counter_create(const struct pattern *p, const char *separator,
                                         struct error *err);
/* Stores the counts of all words, which the caller frees. */
int word_counter_finish(struct word_counter *c, struct bytemap *counts, struct error *err);
void word_counter_destroy(struct word_counter *c);
