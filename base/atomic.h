/* atomic.h: files that are written completely or not at all. */
#ifndef ATOMIC_H
#define ATOMIC_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

struct piece {
    const void *bytes;
    size_t size;
};

/* Replaces `path` by the concatenated pieces: writes a temporary file in the same directory, syncs
 * it, reads it back and compares, renames it, and syncs the directory. After an error the old file
 * is unchanged and no temporary file is left. (If only the final sync of the directory fails, the
 * new file is in place but may not survive a power failure.) */
int atomic_write_pieces(const char *path, const struct piece *pieces, size_t n, struct error *err);
int atomic_write(const char *path, const void *bytes, size_t size, struct error *err);

/* Syncs a directory's entries to disk; succeeds if the file system cannot do that. -1 with errno. */
int sync_directory(const char *directory);

/* Creates a hidden file next to `path`, opened for reading and writing, under a name that
 * atomic_is_leftover recognises. Stores its path and its directory, PATH_MAX bytes each. -1 with
 * errno. */
int atomic_open_temporary(const char *path, char *temporary, char *directory);

/* Whether `name`, without a directory, is a temporary file that an interrupted atomic_write of the
 * file `of` left behind. Such a file is never read, and may be removed if no other process writes
 * to the directory. */
bool atomic_is_leftover(const char *name, const char *of);

#endif
