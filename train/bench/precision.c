/* precision.c: see precision.h. Compiled for float and for bf16. */
#include "train/bench/precision.h"
#include "model/real.h"

static void multiply(enum gemm_backend library, const struct product *p)
{
    gemm_on(library, p->ta, p->tb, p->M, p->N, p->K, p->alpha, p->A, p->lda, p->B, p->ldb, p->beta,
            p->C, p->ldc);
}

const struct bench_precision NAME(bench_precision) = {
#ifdef REAL_BF16
    .name = "bf16",
    .bf16 = true,
#else
    .name = "f32",
#endif
    .ops = NAME(op_code),
    .model = &NAME(model_code),
    .decoder_forward = decoder_forward,
    .multiply = multiply};
