/* gemm.c: see gemm.h. Rounds to bf16 (gemm_bf16.c) or not, and chooses the backend
 * (gemm_backend.c); gemm_parallel.c computes the products. */
#include "model/gemm/gemm.h"
#include "model/gemm/gemm_parallel.h"
#include "model/real.h"
#ifdef REAL_BF16
#include "model/gemm/bf16.h"
#include "model/gemm/gemm_bf16.h"
#endif

#ifdef REAL_BF16
enum { ROUNDS = true };
#define OPERAND(x) bf16_round(x)

void gemm_on(enum gemm_backend backend, const struct product *products, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (gemm_bf16(backend, &products[i])) /* no memory for rounded operands */
            gemm_plain(&products[i]);
}

size_t gemm_bytes(size_t M, size_t N, size_t K)
{
    return gemm_bf16_bytes(M, N, K);
}
#else
enum { ROUNDS = false };
#define OPERAND(x) (x)

void gemm_on(enum gemm_backend backend, const struct product *products, size_t n)
{
    gemm_parallel(backend, products, n);
}

size_t gemm_bytes(size_t M, size_t N, size_t K)
{
    return gemm_parallel_bytes(M, N, K);
}
#endif

void gemm_products(const struct product *products, size_t n)
{
    gemm_on(gemm_backend_choice(ROUNDS, NULL), products, n);
}

void gemm_thread(const struct product *p)
{
    gemm_single(gemm_backend_choice(false, NULL), p);
}

void gemm_plain(const struct product *p)
{
    for (size_t i = 0; i < p->M; i++)
        for (size_t j = 0; j < p->N; j++) {
            acc sum = 0;
            for (size_t k = 0; k < p->K; k++)
                sum += (acc)OPERAND(p->A[p->ta == N_ ? i * p->lda + k : k * p->lda + i]) *
                       OPERAND(p->B[p->tb == N_ ? k * p->ldb + j : j * p->ldb + k]);
            real *c = p->C + i * p->ldc + j;
            *c = (real)(p->alpha * sum + (p->beta == 0 ? 0 : p->beta * *c));
        }
}
