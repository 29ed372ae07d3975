/* tail.h: follows a file of lines that another process appends to, or truncates when it resumes.
 * Reads each byte once. */
#ifndef TAIL_H
#define TAIL_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    TAIL_LINE_MAX = 1 << 22, /* bytes; longer lines are skipped */
    TAIL_MARK = 128
};

struct tail {
    char *path;
    off_t read;           /* bytes of complete lines so far */
    char mark[TAIL_MARK]; /* the last of them, to detect a file that was truncated and grew again */
    size_t mark_size;
    uint64_t inode;
};

/* The file need not exist yet. -1 if memory is short. */
int tail_open(struct tail *t, const char *directory, const char *name);
void tail_close(struct tail *t);

/* Called with each complete line, terminated, without its newline. */
typedef void tail_reader(void *context, char *line, size_t n);

/* Passes on the new lines. If the file is no longer the one read so far plus appended bytes, calls
 * `restart` and begins again. A line without a newline is left for the next call. A missing file
 * counts as empty. */
int tail_read(struct tail *t, tail_reader *reader, void (*restart)(void *context), void *context,
              struct error *err);

#endif
