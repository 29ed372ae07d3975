/* spike.h: the losses of the last steps, and the loss from which on the next is a spike. */
#ifndef SPIKE_H
#define SPIKE_H

#include <stdint.h>

enum {
    LOSS_WINDOW_MAX = 64, /* steps that are looked back on */
    LOSS_WINDOW_MIN = 16  /* before so many there are no spikes */
};

struct loss_window {
    uint64_t count; /* of all that were added */
    double losses[LOSS_WINDOW_MAX];
};

void loss_window_add(struct loss_window *r, double loss);
/* median + factor * scale, INFINITY before LOSS_WINDOW_MIN losses. scale is 1.4826 times the median of the absolute deviations from
 * the median, which for normal noise is its standard deviation and which no few outliers move (Hampel 1974); at least 1% of the
 * median, so that losses that hardly differ make no spike of the next that does. A step is one where !(loss <= this). */
double loss_window_limit(const struct loss_window *r, double factor);

/* As text with every bit, oldest first, for loss_window_parse; text holds LOSS_WINDOW_TEXT bytes. -1 where the text is none of ours. */
enum { LOSS_WINDOW_TEXT = LOSS_WINDOW_MAX * 26 + 32 };
char *loss_window_text(const struct loss_window *r, char *text);
int loss_window_parse(struct loss_window *r, const char *text);

#endif
