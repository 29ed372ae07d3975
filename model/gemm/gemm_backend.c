/* gemm_backend.c: see gemm_backend.h. The rule and its reasons, measured on two cores:
 *
 *   float, no AVX-512                OpenBLAS     oneDNN is up to a half slower for some transposes
 *   float, AVX-512                   oneDNN       as fast as OpenBLAS's best kernels, even if
 *                                                 OPENBLAS_CORETYPE limits OpenBLAS to AVX2
 *   bf16, AMX                        oneDNN bf16  a tile of multiply-adds per cycle
 *   bf16, AVX512_BF16 at full speed  oneDNN bf16  twice the multiply-adds per instruction
 *   bf16, otherwise                  as for float
 *
 * Intel's cores since Sapphire Rapids, recognised by AVX512_FP16, execute the dot product of
 * AVX512_BF16 at half the rate of float's multiply-add (`handgrad bench` prints both peaks). If a
 * hypervisor hides their AMX, as many do, bf16 is not faster than float. Debian's OpenBLAS is built
 * without bf16.
 */
#include "model/gemm/gemm_backend.h"
#include "model/gemm/gemm_onednn.h"
#include <cblas.h>
#if defined __x86_64__
#include <cpuid.h>
#endif
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

const char *gemm_backend_name(enum gemm_backend b)
{
    static const char *const names[GEMM_BACKENDS] = {"OpenBLAS", "oneDNN", "oneDNN bf16"};
    return names[b];
}

bool gemm_backend_available(enum gemm_backend b, bool bf16)
{
    if (b == GEMM_OPENBLAS)
        return true;
    return b == GEMM_ONEDNN ? onednn_isa() >= ONEDNN_AVX2 : bf16 && onednn_isa() >= ONEDNN_BF16;
}

/* Whether bf16 instructions are faster than those for float. */
static bool bf16_is_fast(void)
{
#if defined __x86_64__
    unsigned a, b, c, d;
    if (__builtin_cpu_is("intel") && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
        d >> 23 & 1) /* AVX512_FP16 */
        return onednn_isa() == ONEDNN_AMX;
#endif
    return onednn_isa() >= ONEDNN_BF16;
}

static enum gemm_backend choose(bool bf16, const char **why)
{
    const char *requested = getenv("HANDGRAD_GEMM");
    *why = "set by HANDGRAD_GEMM";
    if (requested && !strcmp(requested, "openblas"))
        return GEMM_OPENBLAS;
    if (requested && !strcmp(requested, "onednn") && gemm_backend_available(GEMM_ONEDNN, bf16))
        return gemm_backend_available(GEMM_ONEDNN_BF16, bf16) ? GEMM_ONEDNN_BF16 : GEMM_ONEDNN;
    if (bf16 && bf16_is_fast()) {
        *why = onednn_isa() == ONEDNN_AMX ? "AMX" : "AVX512_BF16";
        return GEMM_ONEDNN_BF16;
    }
    if (onednn_isa() >= ONEDNN_AVX512) {
        *why = "AVX-512, independent of OPENBLAS_CORETYPE";
        return GEMM_ONEDNN;
    }
    *why = onednn_isa() == ONEDNN_ABSENT ? "oneDNN is not built in"
                                         : "oneDNN is not faster without AVX-512";
    return GEMM_OPENBLAS;
}

/* The answer cannot change, so it is remembered: every product asks for it. */
enum gemm_backend gemm_backend_choice(bool bf16, const char **why)
{
    static _Atomic int remembered[2] = {GEMM_BACKENDS, GEMM_BACKENDS};
    const int known = atomic_load_explicit(&remembered[bf16], memory_order_relaxed);
    if (known != GEMM_BACKENDS && !why)
        return (enum gemm_backend)known;
    const char *reason;
    const enum gemm_backend b = choose(bf16, why ? why : &reason);
    atomic_store_explicit(&remembered[bf16], (int)b, memory_order_relaxed);
    return b;
}

const char *gemm_openblas_core(void)
{
#if defined __x86_64__
    if (getenv("OPENBLAS_CORETYPE") || strcmp(openblas_get_corename(), "Prescott"))
        return NULL;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "Haswell";
#endif
    return NULL;
}
