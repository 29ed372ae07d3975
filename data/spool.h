/* spool.h: tokens that wait on the disk until their number is known: where train ends, and how many shards there will be, is said in
 * every shard. The file has no name, so nothing is left of it whatever happens. */
#ifndef SPOOL_H
#define SPOOL_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct spool;

/* In the folder that the shards will be in, where there must be room for them as well. */
struct spool *spool_create(const char *folder, struct error *err);
int spool_append(struct spool *s, const uint32_t *ids, size_t n, struct error *err);
/* From then on it is read, from the beginning. */
int spool_rewind(struct spool *s, struct error *err);
/* Up to max ids; 0 at the end. Returns -1 where reading fails. */
int spool_read(struct spool *s, uint32_t *ids, size_t max, size_t *n, struct error *err);
void spool_destroy(struct spool *s);

#endif
