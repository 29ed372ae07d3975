/* evaluate.h: the loss over a split. */
#pragma once

#include "base/error.h"
#include "data/split.h"
#include "data/tokenizer/tokenizer.h"
#include "model/gpt.h"
#include "model/model_code.h"
#include <stdbool.h>

struct evaluation {
    double loss;          /* nats per token */
    double perplexity;    /* exp(loss) */
    double bits_per_byte; /* of the text; NAN without a tokenizer */
    uint64_t tokens;      /* predicted */
    bool stopped;         /* interrupted: the fields above are not valid */
};

struct evaluation_plan {
    struct split *split;
    size_t rows;                       /* windows per batch */
    uint64_t max_tokens;               /* stops after this many; 0: the whole split */
    bool mask_documents;               /* as in training: see documents_mask */
    const struct tokenizer *tokenizer; /* may be NULL */
    /* Called before each batch; the evaluation stops if it returns true. NULL: stop_requested. */
    bool (*interrupted)(void *context);
    void *context; /* its argument */
};

/* Predicts every token of the split except the first, or with mask_documents except the first of
 * each document. Consecutive windows of block_size tokens, the last one shorter: each token is
 * predicted once, whatever the number of rows. */
int evaluate(struct evaluation *e, struct gpt *g, const struct model_code *code,
             const struct evaluation_plan *plan, struct error *err);
