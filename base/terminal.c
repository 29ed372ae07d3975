/* terminal.c: see terminal.h. */
#include "base/terminal.h"
#include "base/minmax.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static enum terminal_colours colours(int fd)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM"), /* no-color.org */
                                             *colorterm = getenv("COLORTERM");
    if (!isatty(fd) || (no && *no) || !term || !strcmp(term, "dumb"))
        return TERMINAL_PLAIN;
    if (colorterm && (!strcmp(colorterm, "truecolor") || !strcmp(colorterm, "24bit")))
        return TERMINAL_24_BIT;
    return strstr(term, "256color") ? TERMINAL_256 : TERMINAL_PLAIN;
}

static size_t width(int fd)
{
    enum { DEFAULT = 80, MIN = 20, MAX = 1000 };
    struct winsize w;
    const char *columns = getenv("COLUMNS");
    long n = ioctl(fd, TIOCGWINSZ, &w) == 0 ? w.ws_col : 0;
    if (n == 0 && columns)
        n = strtol(columns, NULL, 10);
    return n == 0 ? DEFAULT : n < MIN ? MIN : size_min((size_t)n, MAX);
}

struct terminal terminal_detect(int fd)
{
    return (struct terminal){colours(fd), width(fd)};
}
