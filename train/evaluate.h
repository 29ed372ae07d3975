/* evaluate.h: the loss over a split. */
#pragma once

#include "base/error.h"
#include "data/split.h"
#include "data/tokenizer/tokenizer.h"
#include "data/window.h"
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
    enum window_starts windows;        /* as in training: see documents_windows, */
    bool mask_documents;               /* and documents_mask */
    const struct tokenizer *tokenizer; /* may be NULL */
    /* Called before each batch; the evaluation stops if it returns true. NULL: stop_requested. */
    bool (*interrupted)(void *context);
    void *context; /* its argument */
};

/* Predicts every token of the split except the first, or with mask_documents except the first of
 * each document, in the rows that training would read: consecutive windows of block_size tokens, or
 * windows that begin at documents. These overlap: a token counts in the last one that predicts it,
 * which begins closer to its document. So each token counts once, whatever the number of rows. */
int evaluate(struct evaluation *e, struct gpt *g, const struct model_code *code,
             const struct evaluation_plan *plan, struct error *err);
