/* digest.h: SHA-256 in hexadecimal, for tokens, texts and vocabularies. */
#ifndef DIGEST_H
#define DIGEST_H

#include <nettle/sha2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DIGEST_HEX = 2 * SHA256_DIGEST_SIZE + 1 }; /* with the terminator */

struct digest {
    struct sha256_ctx sha;
};

void digest_init(struct digest *d);
void digest_update(struct digest *d, const void *bytes, size_t n);
/* Includes the terminator, so that ("ab", "c") and ("a", "bc") differ. */
void digest_update_string(struct digest *d, const char *text);
/* Little-endian on every machine. */
void digest_update_u32(struct digest *d, uint32_t value);
void digest_finish(struct digest *d, char hex[DIGEST_HEX]);

/* Whether text is a digest as digest_finish writes it: 64 lower-case hexadecimal digits. */
bool digest_is_hex(const char *text);

#endif
