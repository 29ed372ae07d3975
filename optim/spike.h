/* spike.h: the losses of the last steps, and the loss from which on the next is a spike. */
#ifndef SPIKE_H
#define SPIKE_H

#include <stdint.h>

enum {
    RECENT_MAX = 64, /* steps that are looked back on */
    RECENT_MIN = 16  /* before so many there are no spikes */
};

struct recent {
    uint64_t count; /* of all that were added */
    double losses[RECENT_MAX];
};

void recent_add(struct recent *r, double loss);
/* median + factor * scale, INFINITY before RECENT_MIN losses. scale is 1.4826 times the median of the absolute deviations from
 * the median, which for normal noise is its standard deviation and which no few outliers move (Hampel 1974); at least 1% of the
 * median, so that losses that hardly differ make no spike of the next that does. A step is one where !(loss <= this). */
double recent_limit(const struct recent *r, double factor);

/* As text with every bit, oldest first, for recent_parse; text holds RECENT_TEXT bytes. -1 where the text is none of ours. */
enum { RECENT_TEXT = RECENT_MAX * 26 + 32 };
char *recent_text(const struct recent *r, char *text);
int recent_parse(struct recent *r, const char *text);

#endif
