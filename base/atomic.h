/* atomic.h: whole files or none. */
#ifndef ATOMIC_H
#define ATOMIC_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

struct piece {
    const void *bytes;
    size_t size;
};

/* Replaces `path` by the pieces, one after the other: a temporary file beside it (O_EXCL), write, fsync, read back and compare,
 * rename, fsync of the folder. After an error the old file, if there was one, stands as it was, and no temporary file is left. (Only
 * where the very last step fails, the sync of the folder, the new file stands already and may not outlive a power cut.) */
int atomic_write_pieces(const char *path, const struct piece *pieces, size_t n, struct error *err);
/* The same of two. */
int atomic_write(const char *path, const void *head, size_t head_size, const void *body,
                 size_t body_size, struct error *err);

/* Puts the names in a folder on the disk, where the system can. -1 with errno. */
int atomic_sync_folder(const char *folder);

/* Opens a new file for writing and reading, hidden beside `path`, under a name that atomic_is_leftover knows. Into PATH_MAX bytes each
 * come its own path and that of its folder. -1 with errno. */
int atomic_open_temporary(const char *path, char *temporary, char *folder);

/* Whether a file of this name (no folder) is what an atomic_write of `of` leaves behind when the process is killed half-way. It
 * is hidden, never read, and may be removed when nobody else writes to the folder. */
bool atomic_is_leftover(const char *name, const char *of);

#endif
