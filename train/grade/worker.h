/* worker.h: a process that runs a student's functions. It gets sizes and inputs, and returns
 * results; the verdict is computed elsewhere, out of its reach. So code that prints a verdict, ends
 * the process, crashes, or does not return is never counted as correct. */
#pragma once

#include "base/error.h"
#include "train/grade/diagnosis_trial.h"
#include <sys/types.h>

struct worker {
    pid_t pid;
    int channel; /* a socket: orders to the process, and its replies */
    int output;  /* a file with all that the code has printed */
    bool has[2]; /* whether the file defines a forward, a backward */
    bool late;   /* it did not return in time */
    bool ended;  /* it has closed its end of the channel */
    double wall; /* the deadline of all calls, in seconds() */
};

/* Starts the process and loads the shared object. The process can access what trials share with
 * it. On failure, call worker_stop nevertheless. */
int worker_start(struct worker *w, enum op op, const char *path, struct trial *trials,
                 struct error *err);
/* Runs a function in a trial that is prepared. -1 if the process did not return from it. */
int worker_call(struct worker *w, size_t trial, enum direction way, bool again);
/* Ends the process. Returns why it did not return from a call: "crashes: Segmentation fault". */
const char *worker_stop(struct worker *w, char text[64]);
/* Gets up to size - 1 bytes of what the code has printed, once, after worker_stop. */
void worker_output(struct worker *w, char *text, size_t size);
