/* temp_tokens.h: token ids in an unnamed temporary file. tokenize keeps them there until their number
 * is known: every shard states how many shards there are, and the end of train depends on it. */
#ifndef TEMP_TOKENS_H
#define TEMP_TOKENS_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct temp_tokens;

/* In the directory that the shards will be written to, which must have space for both. */
struct temp_tokens *temp_tokens_create(const char *dir, struct error *err);
int temp_tokens_append(struct temp_tokens *t, const uint32_t *ids, size_t n, struct error *err);
/* Ends writing; reads from the beginning. */
int temp_tokens_rewind(struct temp_tokens *t, struct error *err);
/* Reads up to max ids; *n is 0 at the end. */
int temp_tokens_read(struct temp_tokens *t, uint32_t *ids, size_t max, size_t *n,
                     struct error *err);
void temp_tokens_destroy(struct temp_tokens *t);

#endif
