/* utf8.c: see utf8.h.
 *
 * The first byte determines all restrictions on the second (Unicode 15, table 3-7): a lower bound
 * after E0 and F0 excludes overlong forms, an upper bound after ED excludes surrogates, and after F4
 * code points above U+10FFFF. C0, C1 and F5 to FF never occur.
 */
#include "base/utf8.h"
#include <stdbool.h>
#include <string.h>

static enum utf8_result begin(struct utf8 *u, uint8_t byte)
{
    const bool lead = byte >= 0xC2 && byte <= 0xF4;
    u->length = lead;
    u->missing = !lead ? 0 : byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    u->code_point = byte & (0x3F >> u->missing);
    u->low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    u->high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    return lead ? UTF8_MORE : UTF8_INVALID;
}

enum utf8_result utf8_step(struct utf8 *u, uint8_t byte)
{
    if (!u->missing)
        return begin(u, byte);
    if (byte < u->low || byte > u->high) {
        u->missing = 0;
        return UTF8_INVALID;
    }
    u->code_point = u->code_point << 6 | (byte & 0x3F);
    u->low = 0x80, u->high = 0xBF;
    u->length++;
    return --u->missing ? UTF8_MORE : UTF8_CHARACTER;
}

int utf8_decode(const char *text, size_t n, uint32_t *code_point)
{
    struct utf8 u = {0};
    for (size_t i = 0; i < n; i++) {
        const enum utf8_result r = utf8_push(&u, (uint8_t)text[i]);
        if (r == UTF8_INVALID)
            return 0;
        if (r == UTF8_CHARACTER) {
            *code_point = u.code_point;
            return u.length;
        }
    }
    return -1;
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
    static const char REPLACEMENT[] = "\xEF\xBF\xBD";
    struct utf8 u = {0};
    char *o = out;
    size_t i = 0;
    while (i < n) {
        const enum utf8_result r = utf8_push(&u, (uint8_t)text[i]);
        if (r == UTF8_INVALID) {
            memcpy(o, REPLACEMENT, 3), o += 3;
            if (u.length) { /* the bytes before this one; this one may begin a character */
                u.length = 0;
                continue;
            }
        }
        i++;
        if (r == UTF8_CHARACTER)
            o += utf8_encode(u.code_point, o);
    }
    if (u.missing)
        memcpy(o, REPLACEMENT, 3), o += 3;
    return (size_t)(o - out);
}
