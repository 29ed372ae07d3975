/* gemm_backend.h: the libraries for matrix products and the choice between them. The same for all
 * number types. */
#ifndef GEMM_BACKEND_H
#define GEMM_BACKEND_H

#include <stdbool.h>

/* GEMM_ONEDNN_BF16 multiplies with the processor's bf16 instructions. The other two multiply
 * operands that were rounded to bf16 as floats, with the same result but for the order of sums. */
enum gemm_backend { GEMM_OPENBLAS, GEMM_ONEDNN, GEMM_ONEDNN_BF16, GEMM_BACKENDS };

/* Whether products of floats, or with `bf16` of operands rounded to bf16, can run on a backend: it
 * is built in and supports this processor. Double and complex products always run on OpenBLAS. */
bool gemm_backend_available(enum gemm_backend b, bool bf16);
const char *gemm_backend_name(enum gemm_backend b);

/* The backend that gemm uses, and, if why is not NULL, the reason in one line. Depends on the
 * processor and the environment variable HANDGRAD_GEMM=openblas|onednn only: a choice by timing
 * could differ between runs, and then their results would too. */
enum gemm_backend gemm_backend_choice(bool bf16, const char **why);

/* The kernel set to select through OPENBLAS_CORETYPE before OpenBLAS starts, if OpenBLAS does not
 * recognise the processor and fell back to its oldest kernels; NULL if not, or if the variable is
 * set. */
const char *gemm_openblas_core(void);

#endif
