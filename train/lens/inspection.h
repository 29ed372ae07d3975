/* inspection.h: a model reads one text, and is asked what it saw: what `handgrad lens` and the page show. */
#ifndef INSPECTION_H
#define INSPECTION_H

#include "train/model_file.h"

struct inspection {
    struct model_file file;
    size_t T;        /* tokens of the text in hand; 0 before the first */
    uint32_t *ids;   /* (block_size + 1): the text's, then a zero */
    float *losses;   /* (block_size): of the token that follows; NAN at the last, where none does */
    float *logits;   /* (block_size, V): of one depth */
    float *weights;  /* (H,T,T): of one layer */
    float *gradient; /* (block_size, C) */
    struct guess *guesses;  /* (V): scratch */
    size_t weights_present; /* elements allocated */
};

/* A token that may come next. */
struct guess {
    uint32_t id;
    float p;
};

/* Reads a checkpoint's model into memory. It must have a tokenizer. On failure nothing is left open. */
int inspection_open(struct inspection *r, const char *path, struct error *err);
void inspection_close(struct inspection *r);

/* Runs the model over a text of 1 to block_size tokens. After an error the reading has no text. */
int inspection_take(struct inspection *r, const char *text, size_t length, struct error *err);

/* What the model, ended after `depth` blocks, would have come next: for each position the k likeliest tokens (T,k), the likeliest
 * first, equals by id, and the loss in nats of the token that did come (T), NAN at the last position. k is at most the
 * vocabulary. At depth n_layer these are the losses of the model's own forward. */
void inspection_guesses(struct guess *top, float *losses, struct inspection *r, size_t depth,
                        size_t k);

/* r->weights (H,T,T) for one layer; see lens_attention. */
void inspection_attention(struct inspection *r, size_t layer);

/* r->gradient (T,C): of the loss at position t < T - 1 with respect to the embedded tokens; see lens_gradient. */
void inspection_gradient(struct inspection *r, size_t t);
/* Its norm at one position. */
double inspection_gradient_norm(const struct inspection *r, size_t position);
/* The length of a bar for it where the largest norm's is 1: from 0 to 1 also where all are zero, or some not finite. */
double inspection_gradient_bar(double norm, double largest);

#endif
