/* gemm_backend.c: see gemm_backend.h. The rule and its reasons, measured on two cores:
 *
 *   processor without AVX-512    OpenBLAS     oneDNN's float products are up to a half slower for some transposes
 *   processor with AVX-512       oneDNN       as fast as OpenBLAS's best kernels, and at its best whatever OPENBLAS_CORETYPE says,
 *                                             which on some machines holds OpenBLAS to AVX2
 *
 * bf16 products run on oneDNN's bf16 kernels where the processor has the instructions: OpenBLAS's bf16 interface is not built
 * into Debian's package.
 */
#include "gemm_backend.h"
#include "gemm_onednn.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[GEMM_BACKENDS] = {"OpenBLAS", "oneDNN"};

const char *gemm_backend_name(enum gemm_backend b)
{
    return names[b];
}

bool gemm_backend_available(enum gemm_backend b)
{
    return b == GEMM_OPENBLAS || onednn_isa() >= ONEDNN_AVX2;
}

static enum gemm_backend choose(const char **why)
{
    const char *wish = getenv("HANDGRAD_GEMM");
    if (wish && !strcmp(wish, "openblas")) {
        *why = "HANDGRAD_GEMM says so";
        return GEMM_OPENBLAS;
    }
    if (onednn_isa() == ONEDNN_ABSENT) {
        *why = "oneDNN is not built in";
        return GEMM_OPENBLAS;
    }
    if (wish && !strcmp(wish, "onednn") && gemm_backend_available(GEMM_ONEDNN)) {
        *why = "HANDGRAD_GEMM says so";
        return GEMM_ONEDNN;
    }
    if (onednn_isa() < ONEDNN_AVX512) {
        *why = "no AVX-512: oneDNN is not faster";
        return GEMM_OPENBLAS;
    }
    *why = "AVX-512, whatever OPENBLAS_CORETYPE allows";
    return GEMM_ONEDNN;
}

/* Processor and environment do not change, so neither does the answer: remembered, since every product asks. */
enum gemm_backend gemm_backend_choice(const char **why)
{
    static _Atomic int remembered = GEMM_BACKENDS;
    const int known = atomic_load_explicit(&remembered, memory_order_relaxed);
    if (known != GEMM_BACKENDS && !why)
        return (enum gemm_backend)known;
    const char *reason;
    const enum gemm_backend b = choose(why ? why : &reason);
    atomic_store_explicit(&remembered, (int)b, memory_order_relaxed);
    return b;
}

bool gemm_bf16_native(void)
{
    return onednn_isa() >= ONEDNN_BF16;
}
