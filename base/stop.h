/* stop.h: signals as questions that the work asks itself: between micro-steps, between the batches of an evaluation, between the
 * tokens of a text. */
#ifndef STOP_H
#define STOP_H

#include <stdbool.h>

/* From here on SIGINT, SIGTERM and SIGHUP (unless ignored, as under nohup) only set a flag; a second one of the same kind ends
 * the process at once, as by default. With `and_save`, for a run, SIGUSR1 asks for a checkpoint, and a closed pipe (SIGPIPE) or a file
 * over its limit (SIGXFSZ) is an error of the write and not the end of the process. Called once, before OpenMP's threads are started:
 * neither they nor the caller are ever interrupted by one of these (stop.c). */
void stop_on_signals(bool and_save);
bool stop_requested(void);

/* Whether SIGUSR1 came since the last call. */
bool save_requested(void);

#endif
