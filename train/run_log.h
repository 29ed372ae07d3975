/* run_log.h: what a run notes beside its metrics, for those who look at it: nothing here changes a bit of the training, and nothing
 * that goes wrong here stops it.
 *
 *   starts.jsonl    an object each time it starts or resumes: step, time, parameters, data, machine
 *   tensors.jsonl   an object every train.log_tensors steps: step, tensors: {NAME: {weight, grad, update}}, Euclidean norms; that of
 *                   the gradient before clipping, that of the update with what weight decay did
 *   samples.jsonl   an object at each evaluation: step, text, of train.sample_tokens tokens; always of the same random numbers
 *   events.…        with train.tensorboard, for TensorBoard: scalars, and at each evaluation histograms
 */
#ifndef RUN_LOG_H
#define RUN_LOG_H

#include "base/jsonl.h"
#include "train/events.h"
#include "train/trainer.h"

struct run_log {
    struct jsonl starts, tensors, samples;
    struct events events;
    uint64_t last; /* the step that was noted last */
};

#define RUN_LOG_CLOSED                                                                             \
    {                                                                                              \
        .starts.fd = -1, .tensors.fd = -1, .samples.fd = -1, .events.fd = -1                       \
    }

/* Goes on after the trainer's step; 0: begins. The trainer has started. */
int run_log_open(struct run_log *d, const char *run_dir, const struct trainer *t,
                 struct error *err);
void run_log_close(struct run_log *d);

/* Notes a finished step, while its gradients are still there. A step at or before the last one noted: the run has gone back, and
 * what was noted since is cut off. */
void run_log_step(struct run_log *d, const struct trainer *t);

#endif
