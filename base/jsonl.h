/* jsonl.h: a file of one JSON object a line that a run appends to for those who look at it. Nothing that goes wrong with it may
 * stop the run: a line that the disk does not take is lost, and said once. */
#ifndef JSONL_H
#define JSONL_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct jsonl {
    char *path;
    int fd;
    off_t end;     /* of the whole lines in it */
    uint64_t last; /* step of the last of them; 0 before any */
    bool failing;
};

/* Opens RUN/name to go on after `step`: objects of later steps are cut off, as is a line that is not whole. Step 0: an empty file. */
int jsonl_open(struct jsonl *j, const char *run_dir, const char *name, uint64_t step,
               struct error *err);
void jsonl_close(struct jsonl *j);

/* Cuts off the objects of later steps. */
int jsonl_cut_after(struct jsonl *j, uint64_t step, struct error *err);
/* Appends a line of this step (size bytes, its end of line among them), whole or not at all. */
void jsonl_append(struct jsonl *j, uint64_t step, const char *line, size_t size);

#endif
