/* resume.h: whether a run may go on from a checkpoint: what has changed since it was saved. */
#ifndef RESUME_H
#define RESUME_H

#include "train/checkpoint/checkpoint.h"
#include "train/trainer.h"

enum { ALLOWED_MAX = 64 };

/* What --allow names: keys ("lr", "optim.lr"), sections ("optim"), and "data" for other training data. */
struct allowed {
    const char *names[ALLOWED_MAX];
    size_t n;
    char text[1024]; /* that the names lie in */
    size_t used;     /* bytes of it */
};

/* Adds a list "data,lr". -1 where a name is neither, or the list is too long. */
int allow(struct allowed *a, const char *list, struct error *err);

/* 0 where the run goes on; else a line that names the fields that differ and what would allow them. What changes no step (how
 * often to save, to evaluate, to print, and what; what to keep in memory; where the data lies) may always differ. A model of other
 * shapes, another tokenizer, and other batches in the middle of an accumulation are never allowed. */
int check_resume(const struct trainer *t, const struct checkpoint *c, const struct allowed *a,
                 const char *path, struct error *err);
/* The checkpoint's tokenizer is that of the data. */
int check_tokenizer(const struct trainer *t, const struct checkpoint *c, const char *path,
                    struct error *err);

#endif
