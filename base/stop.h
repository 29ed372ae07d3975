/* stop.h: signals as flags, which the work polls: between micro-steps, between the batches of an
 * evaluation, between the tokens of a sample. */
#pragma once

#include <stdbool.h>

/* From now on SIGINT, SIGTERM and SIGHUP (unless ignored, as under nohup) set a flag; a second one
 * of the same kind ends the process. With `and_save`, SIGUSR1 requests a checkpoint, and SIGPIPE
 * and SIGXFSZ are ignored, so that writing fails instead. To be called once, before OpenMP starts
 * its threads: neither they nor the caller are interrupted (see stop.c). */
void stop_on_signals(bool and_save);
bool stop_requested(void);

/* Whether SIGUSR1 has arrived since the last call. */
bool save_requested(void);
