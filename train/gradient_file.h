/* gradient_file.h: writes loss, logits and every gradient of one batch to a file. */
#pragma once

#include "base/batch.h"
#include "base/error.h"

enum gradient_precision { GRADIENT_F32, GRADIENT_BF16, GRADIENT_F64 };

/* Runs a batch through the model of a checkpoint, without dropout. Writes an HDF5 file with loss
 * (scalar), logits (B,T,V) and grads/NAME, in double for GRADIENT_F64 and otherwise in float. Also
 * returns the mean loss in *loss. */
int gradient_file_write(const char *out, const char *checkpoint, enum gradient_precision precision,
                        const struct batch *batch, double *loss, struct error *err);
