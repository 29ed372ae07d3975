/* gemm_parallel.h: matrix products on OpenBLAS or oneDNN, divided among threads. Does not round to
 * bf16. See gemm.h for the contracts. */
#ifndef GEMM_PARALLEL_H
#define GEMM_PARALLEL_H

#include "model/gemm/gemm_backend.h"
#include "model/gemm/product.h"

#define gemm_single         NAME(gemm_single)
#define gemm_parallel       NAME(gemm_parallel)
#define gemm_parallel_bytes NAME(gemm_parallel_bytes)

/* Computes a product on the calling thread. */
void gemm_single(enum gemm_backend backend, const struct product *p);

/* Computes one product, or two independent ones, on all threads; see gemm_products. */
void gemm_parallel(enum gemm_backend backend, const struct product *products, size_t n);

/* The most memory that gemm_parallel keeps; see gemm_bytes. */
size_t gemm_parallel_bytes(size_t M, size_t N, size_t K);

#endif
