/* terminal.c: see terminal.h. */
#include "base/terminal.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH = 80, NARROWEST = 20, WIDEST = 1000 };

static enum terminal_colours colours(int fd)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM"),
               *colorterm = getenv("COLORTERM"); /* no-color.org */
    if (!isatty(fd) || (no && *no) || !term || !strcmp(term, "dumb"))
        return TERMINAL_PLAIN;
    if (colorterm && (!strcmp(colorterm, "truecolor") || !strcmp(colorterm, "24bit")))
        return TERMINAL_24_BIT;
    return strstr(term, "256color") ? TERMINAL_256 : TERMINAL_PLAIN;
}

static size_t width(int fd)
{
    struct winsize w;
    const char *columns = getenv("COLUMNS");
    long n = ioctl(fd, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
    if (n == 0 && columns)
        n = strtol(columns, NULL, 10);
    n = n == 0 ? WIDTH : n;
    return (size_t)(n < NARROWEST ? NARROWEST : n > WIDEST ? WIDEST : n);
}

struct terminal terminal_detect(int fd)
{
    return (struct terminal){colours(fd), width(fd)};
}
