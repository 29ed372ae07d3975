/* gemm.h: matrix products. No other code calls OpenBLAS or oneDNN. */
#ifndef GEMM_H
#define GEMM_H

#include "model/gemm/gemm_backend.h"
#include "model/gemm/product.h"

#define gemm_products NAME(gemm_products)
#define gemm_on       NAME(gemm_on)
#define gemm_thread   NAME(gemm_thread)
#define gemm_bytes    NAME(gemm_bytes)
#define gemm_plain    NAME(gemm_plain)

/* Computes one product, or two of which neither reads what the other writes, on all threads. The
 * result does not depend on the number of threads. The bf16 build rounds the elements of A and B to
 * bf16. */
void gemm_products(const struct product *products, size_t n);

/* The same on a given backend, for comparisons; gemm_products uses gemm_backend_choice. */
void gemm_on(enum gemm_backend backend, const struct product *products, size_t n);

/* Computes a product on the calling thread, for use in a parallel region. Does not round to
 * bf16. */
void gemm_thread(const struct product *p);

/* The definition, as three loops: the reference in tests. */
void gemm_plain(const struct product *p);

/* The most memory that these functions keep between calls, in bytes: for a transposed A of up to M
 * columns, a transposed B stored as up to (M,N) or (N,M), N <= M, and sums of up to K terms. What
 * the libraries allocate is not included. */
size_t gemm_bytes(size_t M, size_t N, size_t K);

/* gemm(ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc): one product on all threads.
 * gemm_tile(...): one on the calling thread. */
#define gemm(...)      gemm_products(&(struct product){__VA_ARGS__}, 1)
#define gemm_tile(...) gemm_thread(&(struct product){__VA_ARGS__})

#endif
