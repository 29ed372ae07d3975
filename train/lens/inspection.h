/* inspection.h: what a model computes while it reads one text, for `handgrad lens` and the live
 * page: predictions after each block, attention weights, and gradients of single losses. */
#pragma once

#include "base/arena.h"
#include "base/printable.h"
#include "train/model_file.h"

/* A token that may come next, and its probability. */
struct prediction {
    uint32_t id;
    float p;
};

struct inspection {
    struct model_file file;
    const struct model_config *config; /* the model's */
    struct arena arena;
    size_t T;                  /* tokens of the text; 0 if none has been read */
    size_t omitted;            /* tokens of the text before these, which exceed block_size */
    uint32_t *ids;             /* (block_size + 1): the text's, then a zero */
    const float *losses;       /* (T - 1): of the next token; the model's own array */
    struct prediction *top;    /* (T,k), of inspection_predict, */
    float *top_losses;         /* (block_size), with their losses */
    double mean_loss;          /* and the mean of these; NAN for a single token */
    float *weights;            /* (H,T,T), of inspection_attention */
    float *gradient;           /* (block_size,C), of inspection_gradient, */
    double *norms;             /* (block_size), with its norm at each position */
    float *logits;             /* scratch: (block_size,V) */
    struct prediction *sorted; /* scratch: (V) */
};

/* Reads a checkpoint's model into memory. The checkpoint must have a tokenizer. After an error
 * nothing needs to be closed. */
int inspection_open(struct inspection *in, const char *path, struct error *err);
void inspection_close(struct inspection *in);

/* Runs the model on the last block_size tokens of a text, which must not be empty. After an error T
 * is 0. */
int inspection_run(struct inspection *in, const char *text, size_t length, struct error *err);

/* Predicts the next token at each position as if the model ended after its first `depth` blocks
 * (the logit lens). in->top (T,k) holds the k most likely tokens in descending order, equal ones by
 * id; in->top_losses (T) the loss in nats of the token that follows, NAN at the last position. k is
 * at most the vocabulary's size. At depth n_layer the losses are bit-identical to those of the
 * model's forward. */
int inspection_predict(struct inspection *in, size_t depth, size_t k, struct error *err);

/* in->weights (H,T,T) of one layer; see lens_attention. */
void inspection_attention(struct inspection *in, size_t layer);

/* in->gradient (T,C): of the loss at position t < T - 1 with respect to the embedded tokens (see
 * lens_gradient), and in->norms (T). */
void inspection_gradient(struct inspection *in, size_t t);
/* The norm at position t divided by the largest norm: from 0 to 1, and 0 if it is NAN. */
double inspection_bar(const struct inspection *in, size_t t);

/* A token as printable text; returns its width in terminal columns. */
size_t inspection_token(char shown[PRINTABLE_MAX], const struct inspection *in, uint32_t id,
                        size_t columns);
/* The last part of a model that is cut off after `depth` blocks: "embedding", "h.0", … */
const char *inspection_depth_name(char name[32], size_t depth);
