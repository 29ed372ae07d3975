/* spike.h: a window of recent losses, and the limit above which the next loss is a spike. */
#ifndef SPIKE_H
#define SPIKE_H

#include <stdint.h>

enum {
    LOSS_WINDOW_MAX = 64, /* losses kept */
    LOSS_WINDOW_MIN = 16  /* losses needed before a spike can be detected */
};

struct loss_window {
    uint64_t count; /* losses added so far */
    double losses[LOSS_WINDOW_MAX];
};

void loss_window_add(struct loss_window *w, double loss);

/* median + factor * scale; INFINITY with fewer than LOSS_WINDOW_MIN losses. scale is 1.4826 times
 * the median absolute deviation, which estimates the standard deviation of normal noise and is
 * robust to outliers (Hampel 1974), but at least 1 % of the median, so that nearly constant losses
 * do not turn the next small change into a spike. A loss is a spike if !(loss <= limit). */
double loss_window_limit(const struct loss_window *w, double factor);

/* Writes the window as text without loss of precision, oldest loss first; text holds
 * LOSS_WINDOW_TEXT bytes. Returns text. */
enum { LOSS_WINDOW_TEXT = LOSS_WINDOW_MAX * 26 + 32 };
char *loss_window_text(const struct loss_window *w, char *text);

/* Reads it back. Returns 0, or -1 if the text is malformed. */
int loss_window_parse(struct loss_window *w, const char *text);

#endif
