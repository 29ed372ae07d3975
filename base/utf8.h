/* utf8.h: strict UTF-8 (RFC 3629; Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * One machine reads a byte at a time, so that a text may come in pieces cut anywhere; the rest is built on it.
 */
#ifndef UTF8_H
#define UTF8_H

#include <stddef.h>
#include <stdint.h>

enum { CODE_POINTS = 0x110000, UTF8_MAX = 4 /* bytes of a character */ };

/* All zero between characters, and to begin with. */
struct utf8 {
    uint32_t code_point; /* of the character in hand, as far as it was read */
    uint8_t missing;     /* bytes that it still needs */
    uint8_t low, high;   /* the range of the next of them */
    uint8_t length;      /* bytes that it has so far */
};

/* What a byte did. After UTF8_INVALID the machine stands between characters: the ill-formed sequence is the u->length bytes
 * before this one, or this byte where there were none; after such bytes, this one may begin a character and is to be read again. */
enum utf8_result { UTF8_INVALID = -1, UTF8_MORE, UTF8_CHARACTER };

/* The usual case is short and inlined: a byte of ASCII between characters. */
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

/* The character that begins at text: its length, or 0 where it is invalid, or -1 where it is cut by the end. n > 0. */
int utf8_decode(const char *text, size_t n, uint32_t *code_point);
/* Length in bytes. */
size_t utf8_encode(uint32_t code_point, char bytes[UTF8_MAX]);

/* The leading bytes of text that can be handed on: all but a character at the end that more bytes could still complete. Invalid
 * bytes are handed on as well; see utf8_repair. */
size_t utf8_complete(const char *text, size_t n);

/* Copies text, with every maximal ill-formed sequence replaced by U+FFFD as Unicode recommends; a character cut by the end is
 * one. `out` has room for 3 n bytes. Returns the bytes written. */
size_t utf8_repair(const char *text, size_t n, char *out);

#endif
