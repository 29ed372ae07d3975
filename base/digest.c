/* digest.c: SHA-256 in hexadecimal, computed by nettle. */
#include "base/digest.h"
#include <nettle/version.h>
#include <string.h>

void digest_init(struct digest *d)
{
    sha256_init(&d->sha);
}

void digest_update(struct digest *d, const void *bytes, size_t n)
{
    sha256_update(&d->sha, n, bytes);
}

void digest_update_string(struct digest *d, const char *text)
{
    digest_update(d, text, strlen(text) + 1);
}

void digest_update_u32(struct digest *d, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                              (uint8_t)(value >> 24)};
    digest_update(d, bytes, sizeof bytes);
}

void digest_finish(struct digest *d, char hex[DIGEST_HEX])
{
    unsigned char raw[SHA256_DIGEST_SIZE];
#if NETTLE_VERSION_MAJOR >= 4
    sha256_digest(&d->sha, raw);
#else
    sha256_digest(&d->sha, sizeof raw, raw);
#endif
    for (size_t i = 0; i < sizeof raw; i++) {
        hex[2 * i] = "0123456789abcdef"[raw[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[raw[i] & 15];
    }
    hex[DIGEST_HEX - 1] = '\0';
}

bool digest_is_hex(const char *text)
{
    return strlen(text) == DIGEST_HEX - 1 && strspn(text, "0123456789abcdef") == DIGEST_HEX - 1;
}
