/* occurrences.h: counts a string in a text that arrives in pieces. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { OCCURRENCES_MAX = 255 /* bytes of the string */ };

struct occurrences {
    const char *string; /* NULL: nothing is counted */
    uint64_t count;
    /* private: the end of the text so far, shorter than the string, and space for what follows */
    char joint[2 * OCCURRENCES_MAX];
    size_t tail;
};

/* Adds the next n bytes of the text. */
void occurrences_add(struct occurrences *o, const char *piece, size_t n);
