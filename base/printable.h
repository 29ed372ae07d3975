/* printable.h: a token's bytes as a person can read them, and a terminal can be trusted with. */
#ifndef PRINTABLE_H
#define PRINTABLE_H

#include <stddef.h>

enum { PRINTABLE_MAX = 64 }; /* bytes that always hold one, shortened or not */

/* Writes the bytes of a token as UTF-8 in which everything shows: a space as ␣, a new line as ↵, other control characters by
 * their pictures, what has no width or turns the direction of writing as <U+200B>, a byte that is no character as <E2>. Ends with …
 * where it would be wider than `columns` (at least 1). Returns the columns of a terminal that it takes, at most that many.
 * Widths are the locale's: setlocale(LC_CTYPE, "C.UTF-8") before. */
size_t printable(char out[PRINTABLE_MAX], const char *bytes, size_t n, size_t columns);

#endif
