/* printable.h: the bytes of a token in readable form that is safe to send to a terminal. */
#pragma once

#include <stddef.h>

enum { PRINTABLE_MAX = 64 }; /* bytes that always suffice */

/* Writes the bytes as visible UTF-8: a space as ␣, a newline as ↵, other control characters as
 * their pictures, zero-width and direction-changing characters as <U+200B>, invalid bytes as <E2>.
 * Ends with … if the text would take more than `columns` (at least 1). Returns the columns used.
 * Widths depend on the locale: call setlocale(LC_CTYPE, "C.UTF-8") first. */
size_t printable(char out[PRINTABLE_MAX], const char *bytes, size_t n, size_t columns);
