/* precision.h: the functions that differ between float32 and bf16. */
#pragma once

#include "model/check/op_code.h"
#include "model/decode.h"
#include "model/gemm/gemm.h"
#include "model/model_code.h"
#include <stdbool.h>

struct bench_precision {
    const char *name; /* as --precision takes it */
    bool bf16;
    const struct op_code *ops;
    const struct model_code *model;
    void (*decoder_forward)(struct decoder *d, real *logits, const uint32_t *ids, size_t n);
    void (*multiply)(enum gemm_backend library, const struct product *products, size_t n);
};

extern const struct bench_precision bench_precision_f32, bench_precision_bf16;
