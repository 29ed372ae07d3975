/* output.h: what several commands print. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stddef.h>

/* Prints bytes with \n and \t for line ends and tabs, and \xNN for other control characters and
 * invalid UTF-8. If `quote` is not 0, that character and the backslash are escaped as well. */
void print_escaped(const char *bytes, size_t n, char quote);

#endif
