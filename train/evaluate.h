/* evaluate.h: the loss over a split, in order. */
#ifndef EVALUATE_H
#define EVALUATE_H

#include "base/error.h"
#include "data/split.h"
#include "data/tokenizer/tokenizer.h"
#include "model/gpt.h"
#include "model/model_code.h"
#include <stdbool.h>

struct evaluation {
    double loss;          /* nats per token */
    double perplexity;    /* exp(loss) */
    double bits_per_byte; /* of the text behind the tokens; NAN without a tokenizer */
    uint64_t tokens;      /* that were predicted */
    bool stopped;         /* by a signal: nothing above holds */
};

/* Asked between batches: true ends the evaluation. */
struct interruption {
    bool (*ask)(void *context);
    void *context;
};

struct evaluation_plan {
    struct split *split;
    size_t rows;                       /* windows at a time */
    uint64_t max_tokens;               /* ends earlier; 0: all */
    bool mask_documents;               /* as in training: see documents_mask */
    const struct tokenizer *tokenizer; /* may be NULL */
};

/* Predicts every token of the split but the first, or but the first of each document where they are masked: windows of block_size
 * tokens one after the other, the last one shorter, so each token is predicted once whatever the number of rows. */
int evaluate(struct evaluation *e, struct gpt *g, const struct model_code *code,
             const struct evaluation_plan *plan, struct error *err);
/* The same, that asks somebody else than stop_requested. */
int evaluate_interruptibly(struct evaluation *e, struct gpt *g, const struct model_code *code,
                           const struct evaluation_plan *plan,
                           const struct interruption *interruption, struct error *err);

#endif
