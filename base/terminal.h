/* terminal.h: what an output can display. */
#ifndef TERMINAL_H
#define TERMINAL_H

#include <stddef.h>

enum terminal_colours { TERMINAL_PLAIN, TERMINAL_256, TERMINAL_24_BIT };

struct terminal {
    enum terminal_colours colours;
    size_t width; /* columns, at least 20 */
};

/* Colours as COLORTERM and TERM announce them, if fd is a terminal and NO_COLOR is not set. The
 * width is the terminal's, else COLUMNS, else 80. */
struct terminal terminal_detect(int fd);

#endif
