/* utf8.h: strict UTF-8 (RFC 3629; Unicode 15, table 3-7): no overlong forms, no surrogates, nothing
 * above U+10FFFF. The decoder takes one byte at a time, so that a text may be split anywhere. */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>
#include <stdint.h>

enum { CODE_POINTS = 0x110000, UTF8_MAX = 4 /* bytes of a character */ };

/* All zero initially and between characters. */
struct utf8 {
    uint32_t code_point; /* of the current character, so far */
    uint8_t missing;     /* bytes that it still needs */
    uint8_t low, high;   /* range of its next byte */
    uint8_t length;      /* bytes that it has so far */
};

/* Effect of one byte. After UTF8_INVALID the decoder is between characters. If u->length is not 0,
 * the bytes before this one were ill-formed, and this one must be pushed again; else it is invalid. */
enum utf8_result { UTF8_INVALID = -1, UTF8_MORE, UTF8_CHARACTER };

/* Inlined for the common case, an ASCII byte between characters. */
enum utf8_result utf8_step(struct utf8 *u, uint8_t byte);
static inline enum utf8_result utf8_push(struct utf8 *u, uint8_t byte)
{
    if (byte < 0x80 && !u->missing) {
        u->code_point = byte;
        u->length = 1;
        return UTF8_CHARACTER;
    }
    return utf8_step(u, byte);
}

/* Decodes the character at text (n > 0). Returns its length, 0 if it is invalid, -1 if the text
 * ends inside it. */
int utf8_decode(const char *text, size_t n, uint32_t *code_point);
/* Returns the length in bytes. */
size_t utf8_encode(uint32_t code_point, char bytes[UTF8_MAX]);

/* Length of text without an incomplete character at its end. Invalid bytes count as complete. */
size_t utf8_complete(const char *text, size_t n);

/* Copies text with every maximal ill-formed sequence replaced by U+FFFD, as Unicode recommends; an
 * incomplete character at the end is one. `out` must hold 3 n bytes. Returns the bytes written. */
size_t utf8_repair(const char *text, size_t n, char *out);

#endif
