/* terminal.h: what can be drawn on an output. */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stddef.h>

enum terminal_colours { TERMINAL_PLAIN, TERMINAL_256, TERMINAL_24_BIT };

struct terminal {
    enum terminal_colours colours;
    size_t width; /* columns, at least 20 */
};

/* Colours where fd is a terminal that says it has them (COLORTERM, TERM), unless NO_COLOR is set. The width is the terminal's,
 * or COLUMNS, or 80. */
struct terminal terminal_detect(int fd);

#endif
