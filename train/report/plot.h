/* plot.h: the losses of a run, drawn in characters. */
#ifndef PLOT_H
#define PLOT_H

#include "base/terminal.h"
#include "train/report/history.h"
#include <stdio.h>

/* Draws the training loss (its mean over a hundredth of the run; in colour also how far it spreads) in dots of Braille, and the
 * validation losses as circles, as wide as the terminal. Draws nothing but says so where no step has a loss. */
void plot_losses(FILE *out, const struct history *h, const struct terminal *t);

#endif
