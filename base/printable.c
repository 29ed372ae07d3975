/* printable.c: see printable.h. */
#include "base/printable.h"
#include "base/utf8.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

/* One character as it is displayed. */
struct glyph {
    char text[16];
    size_t columns;
};

static bool is_format(uint32_t c)
{
    return (c >= 0x2000 && c <= 0x206F && wcwidth((wchar_t)c) <= 0) || c == 0xFEFF || c == 0x061C ||
           c == 0x180E;
}

/* The character at the beginning of bytes; returns its length. */
static size_t make_glyph(struct glyph *g, const char *bytes, size_t n, bool first)
{
    uint32_t c = 0;
    const int length = utf8_decode(bytes, n, &c);
    if (length <= 0) {
        g->columns = (size_t)snprintf(g->text, sizeof g->text, "<%02X>", (unsigned char)*bytes);
        return 1;
    }
    const int width = wcwidth((wchar_t)c);
    const uint32_t picture = c == '\n'  ? 0x21B5
                             : c == ' ' ? 0x2423
                             : c < 0x20 ? 0x2400 + c
                             : c == 127 ? 0x2421
                                        : 0;
    if (!picture && (width < 0 || (width == 0 && first) || is_format(c)))
        g->columns = (size_t)snprintf(g->text, sizeof g->text, "<U+%04X>", c);
    else {
        g->text[utf8_encode(picture ? picture : c, g->text)] = 0;
        g->columns = picture ? 1 : (size_t)width;
    }
    return (size_t)length;
}

size_t printable(char out[PRINTABLE_MAX], const char *bytes, size_t n, size_t columns)
{
    size_t used = 0, width = 0;
    size_t cut = 0, cut_width = 0; /* the longest prefix that leaves space for … */
    for (size_t at = 0; at < n;) {
        struct glyph g;
        at += make_glyph(&g, bytes + at, n - at, at == 0);
        const size_t length = strlen(g.text);
        if (width + g.columns > columns || used + length + 4 > PRINTABLE_MAX) {
            strcpy(out + cut, "…");
            return cut_width + 1;
        }
        memcpy(out + used, g.text, length);
        used += length;
        width += g.columns;
        if (width < columns) {
            cut = used;
            cut_width = width;
        }
    }
    out[used] = 0;
    return width;
}
