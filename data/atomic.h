/* atomic.h: whole files or none. */
#ifndef ATOMIC_H
#define ATOMIC_H

#include "error.h"
#include <stddef.h>

/* Replaces `path` by head followed by body: a temporary file beside it (O_EXCL), write, fsync, read back and compare, rename,
 * fsync of the folder. After an error the old file, if there was one, stands as it was, and no temporary file is left. */
int atomic_write(const char *path, const void *head, size_t head_size, const void *body, size_t body_size, struct error *err);

#endif
