/* events.h: a run as TensorBoard reads it. */
#ifndef EVENTS_H
#define EVENTS_H

#include "train/trainer.h"
#include <stdbool.h>
#include <stdint.h>

struct events {
    int fd; /* -1: none are written, and the calls below do nothing */
    char *path;
    off_t end;
    bool failing;
};

/* A new file RUN/events.out.tfevents.TIME.handgrad.PID: TensorBoard reads all of a folder as one run. What was written of steps
 * after `step` is declared void. */
int events_open(struct events *e, const char *run_dir, uint64_t step, struct error *err);
void events_close(struct events *e);

/* What has been written of steps after `step` is void: the run has gone back to it. */
void events_restart(struct events *e, uint64_t step);
/* The scalars of the trainer's last step, and, with histograms, how its weights and gradients are distributed; of both only what is
 * finite. */
void events_step(struct events *e, const struct trainer *t, bool histograms);

/* --- the format, for its tests --- */

/* CRC-32C (Castagnoli), as RFC 3720 has it in its appendix B.4. */
uint32_t crc32c(const void *bytes, size_t n);

#endif
