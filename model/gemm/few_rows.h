/* few_rows.h: products of a few rows with a matrix that has to come from memory, as a token's with the weights: reading it is what they
 * cost. */
#ifndef FEW_ROWS_H
#define FEW_ROWS_H

#include "model/gemm/gemm.h"

#define few_rows         NAME(few_rows)
#define few_rows_product NAME(few_rows_product)

enum { FEW_ROWS = 8 };

/* Whether a product is done this way: y = x B for up to FEW_ROWS rows; y = x B^T for one, since more are no faster than a library's. */
bool few_rows(enum transpose ta, enum transpose tb, size_t M);

/* C (M,N) = alpha A op(B) + beta C as gemm has it, on the caller's thread. What it reads of B is read once and in the order in which it
 * lies there, if B is as wide as its rows are apart. */
void few_rows_product(enum transpose tb, size_t M, size_t N, size_t K, double alpha, const real *A,
                      size_t lda, const real *B, size_t ldb, double beta, real *C, size_t ldc);

#endif
