/* lens_print.h: what a reading shows, as lines of text. */
#ifndef LENS_PRINT_H
#define LENS_PRINT_H

#include "base/terminal.h"
#include "train/lens/inspection.h"
#include <stdio.h>

/* For each position the token, the one that followed, its loss and probability, and the k likeliest. */
int lens_print_predictions(FILE *f, const struct terminal *t, struct inspection *r, size_t k,
                           struct error *err);
/* For each position the likeliest next token after the embedding and after every block. */
int lens_print_depths(FILE *f, const struct terminal *t, struct inspection *r, struct error *err);
/* The norm of one loss's gradient at every token. */
void lens_print_gradient(FILE *f, const struct terminal *t, struct inspection *r, size_t position);

#endif
