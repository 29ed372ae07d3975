/* jsonl.h: a log of JSON objects, one per line, that a run appends to. A write error must not stop
 * the run: the line is lost, and one warning is printed. */
#ifndef JSONL_H
#define JSONL_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct jsonl {
    char *path;
    int fd;
    off_t end;     /* of its complete lines */
    uint64_t last; /* step of the last line; 0 before any */
    bool failing;
};

/* Opens RUN/name to append after `step`: cuts off lines of later steps and an incomplete last line.
 * Step 0: truncates the file. */
int jsonl_open(struct jsonl *j, const char *run_dir, const char *name, uint64_t step,
               struct error *err);
void jsonl_close(struct jsonl *j);

/* Cuts off the lines of later steps. */
int jsonl_cut_after(struct jsonl *j, uint64_t step, struct error *err);
/* Appends a line of this step (`size` bytes, newline included), completely or not at all. */
void jsonl_append(struct jsonl *j, uint64_t step, const char *line, size_t size);

#endif
