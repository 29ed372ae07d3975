/* precision.c: see precision.h. Compiled for float and for bf16. */
#include "train/bench/precision.h"
#include "model/real.h"

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
    .multiply = gemm_on};
