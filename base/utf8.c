/* utf8.c: strict UTF-8.
 *
 * All that is special about the second byte (Unicode 15, table 3-7) is said by the first: after E0 and F0 a lower bound keeps
 * overlong forms out, after ED an upper one surrogates, after F4 what lies above U+10FFFF. C0, C1 and F5 … FF never occur.
 */
#include "base/utf8.h"
#include <string.h>

static enum utf8_result begin(struct utf8 *u, uint8_t byte)
{
    u->length = 1;
    u->low = 0x80, u->high = 0xBF;
    if (byte < 0x80) {
        u->code_point = byte;
        return UTF8_CHARACTER;
    }
    if (byte >= 0xC2 && byte <= 0xDF) {
        u->code_point = byte & 0x1F, u->missing = 1;
    } else if (byte >= 0xE0 && byte <= 0xEF) {
        u->code_point = byte & 0x0F, u->missing = 2;
        if (byte == 0xE0)
            u->low = 0xA0;
        if (byte == 0xED)
            u->high = 0x9F;
    } else if (byte >= 0xF0 && byte <= 0xF4) {
        u->code_point = byte & 0x07, u->missing = 3;
        if (byte == 0xF0)
            u->low = 0x90;
        if (byte == 0xF4)
            u->high = 0x8F;
    } else {
        u->length = 0;
        return UTF8_INVALID;
    }
    return UTF8_MORE;
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
    bytes[0] = (char)((0xF00 >> n) | c); /* 110…, 1110…, 11110…: the length in ones */
    return n;
}

size_t utf8_complete(const char *text, size_t n)
{
    /* A cut character is 1 to 3 bytes long, so it begins in the last three. */
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
            if (u.length) { /* what came before is ill-formed; this byte may begin anew */
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
