/* product.h: the operands of a matrix product.
 *
 * All matrices are row-major with a leading dimension (elements from one row to the next), so one
 * head of the queries is a matrix too. A transpose never conjugates. */
#ifndef PRODUCT_H
#define PRODUCT_H

#include "model/real.h"

enum transpose { N_, T_ };

/* C (M,N) = alpha op(A) op(B) + beta C, where op(A) is (M,K) and op(B) is (K,N). C overlaps neither
 * A nor B. beta = 0 overwrites C without reading it. */
struct product {
    enum transpose ta, tb;
    size_t M, N, K;
    double alpha;
    const real *A;
    size_t lda;
    const real *B;
    size_t ldb;
    double beta;
    real *C;
    size_t ldc;
};

#endif
