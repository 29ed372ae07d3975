/* gemm_backend.h: the libraries that multiply matrices, and which of them this process uses. Independent of the number type. */
#ifndef GEMM_BACKEND_H
#define GEMM_BACKEND_H

#include <stdbool.h>
#include <stddef.h>

/* GEMM_ONEDNN_BF16 multiplies bf16 numbers by the processor's own instructions for them; on the other two, operands that were rounded
 * to bf16 are multiplied as floats: the same products to the order of the sums. */
enum gemm_backend { GEMM_OPENBLAS, GEMM_ONEDNN, GEMM_ONEDNN_BF16, GEMM_BACKENDS };

/* Whether products of floats, or with `bf16` of rounded ones, can run on it: built in, and of use on this machine. Double and complex
 * ones are OpenBLAS's alone. */
bool gemm_backend_available(enum gemm_backend b, bool bf16);
const char *gemm_backend_name(enum gemm_backend b);
/* Writes the version of a library, and of OpenBLAS the kernels in use. Returns false if the library
 * is not built in. */
bool gemm_backend_version(enum gemm_backend b, char *text, size_t size);

/* What gemm runs on, and in *why (where not NULL) one line that says why. Never decided by a stopwatch, which would choose now
 * this, now that one, and so other bits: by what the processor has, or by the environment's HANDGRAD_GEMM=openblas|onednn. */
enum gemm_backend gemm_backend_choice(bool bf16, const char **why);

/* The kernels that OpenBLAS should be told to use (OPENBLAS_CORETYPE), before it starts, since it does not know this processor and
 * fell back on those of 2004; NULL where it chose well, or was told already. */
const char *gemm_openblas_core(void);

#endif
