/* tail.h: follows a file of lines that another process appends to, and cuts back when it resumes. Reads each byte once. */
#ifndef TAIL_H
#define TAIL_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    TAIL_LINE_MAX = 1 << 22, /* bytes; a longer line is passed over */
    TAIL_MARK = 128
};

struct tail {
    char *path;
    off_t read; /* bytes of whole lines that were handed on, or passed over */
    char mark
        [TAIL_MARK]; /* the last of them: a file that was cut and has grown again differs there */
    size_t mark_size;
    uint64_t inode;
};

/* -1 where memory is short. The file need not exist yet. */
int tail_open(struct tail *t, const char *folder, const char *name);
void tail_close(struct tail *t);

/* What the reader does with the next whole line (terminated, without its end of line). */
typedef void tail_reader(void *context, char *line, size_t n);

/* Hands on the lines that are new. Where the file is not the one read so far with something appended, calls `restart` first and
 * begins again. A line without its end is left for later; a missing file is empty. An error names the file. */
int tail_read(struct tail *t, tail_reader *reader, void (*restart)(void *context), void *context,
              struct error *err);

#endif
