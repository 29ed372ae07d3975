/* plot.h: the losses of a run as a plot in the terminal. */
#pragma once

#include "base/terminal.h"
#include "train/report/history.h"
#include <stdio.h>

/* Plots the mean training loss of each column of dots (in colour also its range) and the validation
 * losses, as wide as the terminal. Prints a line instead if there are no losses. */
void plot_losses(FILE *out, const struct history *h, const struct terminal *t);
