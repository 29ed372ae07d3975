/* utf8.h: strict UTF-8 (RFC 3629; Unicode 15, table 3-7): no overlong forms, no surrogates, nothing
 * above U+10FFFF. */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>
#include <stdint.h>

enum { CODE_POINTS = 0x110000, UTF8_MAX = 4 /* bytes of a character */ };

/* Decodes the character at text (n > 0). Returns its length, 0 if it is invalid, -1 if the text
 * ends inside it. ASCII is decoded inline. */
int utf8_decode_long(const char *text, size_t n, uint32_t *code_point);
static inline int utf8_decode(const char *text, size_t n, uint32_t *code_point)
{
    if ((uint8_t)*text >= 0x80)
        return utf8_decode_long(text, n, code_point);
    *code_point = (uint8_t)*text;
    return 1;
}

/* Returns the length in bytes. */
size_t utf8_encode(uint32_t code_point, char bytes[UTF8_MAX]);

/* Length of text without an incomplete character at its end. Invalid bytes count as complete. */
size_t utf8_complete(const char *text, size_t n);

/* Copies text with every maximal ill-formed sequence replaced by U+FFFD, as Unicode recommends; an
 * incomplete character at the end is one. `out` must hold 3 n bytes. Returns the bytes written. */
size_t utf8_repair(const char *text, size_t n, char *out);

#endif
