/* printable.c: see visible.h. */
#include "base/printable.h"
#include "base/utf8.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

/* One character of the bytes as it is shown; returns the bytes it took. */
struct shown {
    char text[16];
    size_t columns;
};

static bool is_format(uint32_t c)
{
    return (c >= 0x2000 && c <= 0x206F && wcwidth((wchar_t)c) <= 0) || c == 0xFEFF || c == 0x061C ||
           c == 0x180E;
}

static void put_code_point(struct shown *s, uint32_t c)
{
    s->text[utf8_encode(c, s->text)] = 0;
}

static size_t show(struct shown *s, const char *bytes, size_t n, bool first)
{
    uint32_t c = 0;
    const int length = utf8_decode(bytes, n, &c);
    if (length <= 0) {
        s->columns = (size_t)snprintf(s->text, sizeof s->text, "<%02X>", (unsigned char)*bytes);
        return 1;
    }
    const int width = wcwidth((wchar_t)c);
    s->columns = 1;
    if (c == '\n')
        put_code_point(s, 0x21B5);
    else if (c == ' ')
        put_code_point(s, 0x2423);
    else if (c < 0x20)
        put_code_point(s, 0x2400 + c);
    else if (c == 0x7F)
        put_code_point(s, 0x2421);
    else if (width < 0 || (width == 0 && first) || is_format(c))
        s->columns = (size_t)snprintf(s->text, sizeof s->text, "<U+%04X>", c);
    else {
        put_code_point(s, c);
        s->columns = (size_t)width;
    }
    return (size_t)length;
}

size_t printable(char out[PRINTABLE_MAX], const char *bytes, size_t n, size_t columns)
{
    size_t used = 0, wide = 0, cut = 0,
           cut_columns = 0; /* cut: where the text ends that leaves room for … */
    for (size_t at = 0; at < n;) {
        struct shown s;
        at += show(&s, bytes + at, n - at, at == 0);
        const size_t length = strlen(s.text);
        if (wide + s.columns > columns || used + length + 4 > PRINTABLE_MAX) {
            strcpy(out + cut, "…");
            return cut_columns + 1;
        }
        memcpy(out + used, s.text, length);
        used += length;
        wide += s.columns;
        if (wide < columns) {
            cut = used;
            cut_columns = wide;
        }
    }
    out[used] = 0;
    return wide;
}
