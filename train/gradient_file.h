/* gradient_file.h: loss, logits and every gradient of one batch, in float, bf16 or double, into a file. */
#ifndef GRADIENT_FILE_H
#define GRADIENT_FILE_H

#include "base/error.h"
#include "model/real.h"
#include "train/checkpoint/checkpoint.h"

#define gradient_file_write NAME(gradient_file_write)

/* Runs the batch inputs, targets (B,T) through the checkpoint's model, without dropout, and writes OUT.h5: loss (scalar),
 * logits (B,T,V), grads/<name>, in the number type of the build; the mean of the losses also into *loss. */
int gradient_file_write(const char *out, const char *checkpoint, const uint32_t *inputs,
                        const uint32_t *targets, size_t B, size_t T, double *loss,
                        struct error *err);

#endif
