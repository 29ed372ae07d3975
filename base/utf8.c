/* utf8.c: see utf8.h.
 *
 * The first byte determines all restrictions on the second (Unicode 15, table 3-7): a lower bound
 * after E0 and F0 excludes overlong forms, an upper bound after ED excludes surrogates, and after
 * F4 code points above U+10FFFF. C0, C1 and F5 to FF never occur.
 */
#include "base/utf8.h"
#include <string.h>

int utf8_decode_long(const char *text, size_t n, uint32_t *code_point)
{
    const uint8_t lead = (uint8_t)text[0];
    const unsigned length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    uint8_t low = lead == 0xE0   ? 0xA0
                  : lead == 0xF0 ? 0x90
                                 : 0x80,
            high = lead == 0xED   ? 0x9F
                   : lead == 0xF4 ? 0x8F
                                  : 0xBF;
    uint32_t c = lead & (0x7Fu >> length);
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    for (size_t i = 1; i < length; i++, low = 0x80, high = 0xBF) {
        if (i == n)
            return -1;
        const uint8_t byte = (uint8_t)text[i];
        if (byte < low || byte > high)
            return 0;
        c = c << 6 | (byte & 0x3F);
    }
    *code_point = c;
    return (int)length;
}

size_t utf8_encode(uint32_t c, char bytes[UTF8_MAX])
{
    if (c < 0x80) {
        bytes[0] = (char)c;
        return 1;
    }
    const size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        bytes[i] = (char)(0x80 | (c & 0x3F));
    bytes[0] = (char)((0xF00 >> n) | c); /* 110…, 1110… or 11110…: as many ones as bytes */
    return n;
}

size_t utf8_complete(const char *text, size_t n)
{
    /* An incomplete character has 1 to 3 bytes. */
    for (size_t back = 1; back < UTF8_MAX && back <= n; back++) {
        uint32_t code_point;
        if (((uint8_t)text[n - back] & 0xC0) != 0x80)
            return utf8_decode(text + n - back, back, &code_point) < 0 ? n - back : n;
    }
    return n;
}

size_t utf8_repair(const char *text, size_t n, char *out)
{
    char *o = out;
    uint32_t c;
    for (size_t i = 0, m; i < n; i += m) {
        const int length = utf8_decode(text + i, n - i, &c);
        if (length > 0) {
            memcpy(o, text + i, m = (size_t)length);
            o += m;
            continue;
        }
        /* A maximal ill-formed sequence is the longest beginning of a character, or one byte. */
        for (m = 1; m < n - i && utf8_decode(text + i, m + 1, &c) < 0; m++)
            ;
        memcpy(o, "\xEF\xBF\xBD", 3);
        o += 3;
    }
    return (size_t)(o - out);
}
