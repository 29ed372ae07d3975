/* gradient_types.h: each build of gradient_file_write, for the one who chooses. */
#ifndef GRADIENT_TYPES_H
#define GRADIENT_TYPES_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

typedef int gradient_file_writer(const char *out, const char *checkpoint, const uint32_t *inputs,
                                 const uint32_t *targets, size_t B, size_t T, double *loss,
                                 struct error *err);
gradient_file_writer gradient_file_write_f32, gradient_file_write_bf16, gradient_file_write_f64;

#endif
