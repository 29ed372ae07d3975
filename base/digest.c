/* digest.c: SHA-256 in hexadecimal, computed by nettle. */
#include "base/digest.h"
#include <endian.h>
#include <nettle/version.h>
#include <stdio.h>
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
    value = htole32(value);
    digest_update(d, &value, sizeof value);
}

void digest_finish(struct digest *d, char hex[DIGEST_HEX])
{
    unsigned char raw[SHA256_DIGEST_SIZE];
#if NETTLE_VERSION_MAJOR >= 4
    sha256_digest(&d->sha, raw);
#else
    sha256_digest(&d->sha, sizeof raw, raw);
#endif
    for (size_t i = 0; i < sizeof raw; i++)
        snprintf(hex + 2 * i, 3, "%02x", raw[i]);
}

bool digest_is_hex(const char *text)
{
    return strspn(text, "0123456789abcdef") == DIGEST_HEX - 1 && !text[DIGEST_HEX - 1];
}
