/* bpe_train.h: learns a byte-pair encoding from the words of a text and their counts.
 *
 * The vocabulary begins as the 256 bytes in order. Repeatedly, the most frequent pair of neighbours
 * becomes a token; a word that contains a pair adds its count once for each occurrence. Of equally
 * frequent pairs the greatest is chosen, by the bytes of the left token, then of the right one (as
 * in Stanford's CS336), so the result does not depend on the number of threads. Special tokens come
 * last.
 */
#pragma once

#include "data/tokenizer/bpe.h"

struct bpe_plan {
    size_t vocab_size;           /* including the 256 bytes and the special tokens */
    const char *const *specials; /* their names */
    size_t n_specials;
    const char *regex; /* name or expression of the pre-tokenizer that found the words */
    void (*progress)(void *context, size_t merges); /* or NULL */
    void *context;
    bool at_most; /* if the words give fewer tokens, that is no error */
};

/* `words` maps words to counts (word_counter.h). NULL if memory is short, the plan is impossible,
 * or the words give fewer tokens (the message says how many). */
struct bpe *bpe_train(const struct bytemap *words, const struct bpe_plan *plan, struct error *err);
