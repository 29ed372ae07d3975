/* events.h: event files for TensorBoard. */
#pragma once

#include "train/trainer.h"
#include <stdbool.h>
#include <stdint.h>

struct events {
    char *path; /* NULL: closed; the functions below do nothing */
    int fd;
    off_t end;
    bool failing; /* the last write failed */
};

/* Creates RUN/events.out.tfevents.TIME.handgrad.PID. TensorBoard reads all event files in a
 * directory as one run. Events after `step` in earlier files become void. */
int events_open(struct events *e, const char *run_dir, uint64_t step, struct error *err);
void events_close(struct events *e);

/* Makes the events after `step` void: the run has been rolled back to it. */
void events_restart(struct events *e, uint64_t step);
/* Writes the scalars of the trainer's last step and, with `histograms`, the distributions of
 * weights and gradients. Values and tensors that are not finite are left out. */
void events_step(struct events *e, const struct trainer *t, bool histograms);

/* CRC-32C (Castagnoli; RFC 3720, appendix B.4). Public for the tests. */
uint32_t crc32c(const void *bytes, size_t n);
