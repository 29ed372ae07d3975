/* gemm_backend.h: the libraries that multiply matrices, and which of them this process uses. Independent of the number type. */
#ifndef GEMM_BACKEND_H
#define GEMM_BACKEND_H

#include <stdbool.h>

enum gemm_backend { GEMM_OPENBLAS, GEMM_ONEDNN, GEMM_BACKENDS };

/* Whether float products can run on it: built in, and of use on this machine. Double and complex ones are OpenBLAS's alone. */
bool gemm_backend_available(enum gemm_backend b);
const char *gemm_backend_name(enum gemm_backend b);

/* What gemm runs on, and in *why (where not NULL) one line that says why. Never decided by a stopwatch, which would choose now
 * this, now that one, and so other bits: by what the processor has, or by the environment's HANDGRAD_GEMM=openblas|onednn. */
enum gemm_backend gemm_backend_choice(const char **why);

/* Whether bf16 products run on bf16 instructions; otherwise their operands are rounded, and multiplied as floats: slower than
 * float, and the same to the order of the sums. */
bool gemm_bf16_native(void);

#endif
