/* source.h: the bytes of a file, decompressed if it is compressed by gzip, bzip2, xz or zstd. */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <sys/types.h>

struct source;

/* Opens a file, or if path is NULL, reads the open file fd from its beginning. `name` is for error
 * messages and must outlive the source. NULL on error. */
struct source *source_open(const char *path, int fd, const char *name, struct error *err);
/* Returns the number of bytes read, less than n only at the end; -1 on error. */
ssize_t source_read(struct source *s, char *bytes, size_t n, struct error *err);
void source_close(struct source *s);
