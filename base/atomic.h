/* atomic.h: files that are written completely or not at all. */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

struct piece {
    const void *bytes;
    size_t size;
};

/* Replaces `path` by the concatenated pieces: writes a temporary file in the same directory, syncs
 * it, reads it back and compares, renames it, and syncs the directory. After an error the old file
 * is unchanged, unless only the final sync failed, and no temporary file is left. */
int atomic_write_pieces(const char *path, const struct piece *pieces, size_t n, struct error *err);
int atomic_write(const char *path, const void *bytes, size_t size, struct error *err);

/* Syncs a directory's entries to disk; succeeds if the file system cannot do that. -1 with
 * errno. */
int sync_directory(const char *directory);

/* Creates a hidden file next to `path`, opened for reading and writing, under a name that
 * atomic_is_leftover recognises. Stores its path and its directory, PATH_MAX bytes each. -1 with
 * errno. */
int atomic_open_temporary(const char *path, char *temporary, char *directory);

/* Whether the file name `name` is that of a temporary file for `of`. Unless another process is
 * writing, it was left behind and may be removed. */
bool atomic_is_leftover(const char *name, const char *of);
