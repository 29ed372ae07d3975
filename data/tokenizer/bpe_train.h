/* bpe_train.h: byte-pair encoding learned from the words of a text and how often each occurs.
 *
 * The vocabulary begins as the 256 bytes, in their order. Then, again and again, the pair of neighbours that occurs most often becomes a
 * token: as often as the words that hold it, each counted with its frequency. Of pairs that occur equally often the greater is taken,
 * by the bytes of its left token, then by those of its right (as in the assignment of Stanford's CS336): so a text has one result, on
 * any number of threads. Special tokens come last.
 */
#ifndef BPE_TRAIN_H
#define BPE_TRAIN_H

#include "data/tokenizer/bpe.h"
#include "data/tokenizer/word_counts.h"

struct bpe_plan {
    size_t vocab_size;           /* with the 256 bytes and the special tokens */
    const char *const *specials; /* their names */
    size_t n_specials;
    const char *regex; /* name or expression of the pre-tokenizer that found the words */
    void (*progress)(void *context, size_t merges, size_t of);
    void *context;
};

/* NULL where memory is short, the plan cannot be, or the words give fewer tokens (the line says how many). */
struct bpe *bpe_train(const struct word_counts *words, const struct bpe_plan *plan,
                      struct error *err);

#endif
