/* test_model_bf16.c: rounding to bf16, and the primitives of oneDNN that multiply what was rounded.
 *
 *   every bf16 number                  is its own rounding
 *   numbers between two neighbours     go to the nearer, from half-way to the even one; infinities and NaN stay
 *   onednn_product                     is gemm_plain to rounding, for each transpose, adding or not; in bf16 where the machine can
 */
#include "../model/bf16.h"
#include "../model/gemm.h"
#include "../model/gemm_onednn.h"
#include "numbers.h"

START_TEST(a_bf16_number_is_its_own_rounding)
{
    for (uint32_t bits = 0; bits <= UINT16_MAX; bits++) {
        const float x = bf16_value((uint16_t)bits);
        require(isnan(x) ? isnan(bf16_round(x)) : bf16_bits(x) == bits, "%#x", bits);
    }
}
END_TEST

/* Between neighbours lo and hi (of one sign, by magnitude): three numbers and where they go. */
START_TEST(the_nearest_and_from_half_way_the_even_one)
{
    for (uint32_t bits = 0; bits < 0x7f80; bits++)
        for (uint32_t sign = 0; sign <= 0x8000; sign += 0x8000) {
            const uint32_t lo = bits | sign, hi = (bits + 1) | sign, even = lo & 1 ? hi : lo;
            const uint32_t parts[] = {0x7fff, 0x8000, 0x8001}, goes[] = {lo, even, hi};
            for (int i = 0; i < 3; i++) {
                const uint32_t u = lo << 16 | parts[i];
                float x;
                memcpy(&x, &u, sizeof x);
                require(bf16_bits(x) == goes[i], "%a", (double)x);
            }
        }
}
END_TEST

START_TEST(a_nan_stays_one)
{
    for (uint32_t payload = 1; payload < 1u << 23; payload += 4093)
        for (uint32_t sign = 0; sign <= 1; sign++) {
            const uint32_t u = sign << 31 | 0x7f800000 | payload;
            float x;
            memcpy(&x, &u, sizeof x);
            require(isnan(bf16_round(x)), "%#x", u);
        }
}
END_TEST

/* The numbers of x as oneDNN reads them; they are bf16 numbers already. */
static void *operand(const float *x, size_t n, int bf16)
{
    if (!bf16)
        return copy_of(x, n);
    uint16_t *bits = malloc(n * sizeof *bits);
    ck_assert_ptr_nonnull(bits);
    for (size_t i = 0; i < n; i++)
        bits[i] = bf16_bits(x[i]);
    return bits;
}

static void check_product(int bf16, int transposes, int add, size_t M, size_t N, size_t K)
{
    const enum transpose ta = transposes & 1 ? T_ : N_, tb = transposes & 2 ? T_ : N_;
    float *A = random_array(M * K, 1, 1), *B = random_array(K * N, 1, 2), *C = random_array(M * N, 1, 3);
    for (size_t i = 0; i < M * K; i++)
        A[i] = bf16_round(A[i]);
    for (size_t i = 0; i < K * N; i++)
        B[i] = bf16_round(B[i]);
    float *expected = copy_of(C, M * N);
    gemm_plain(ta, tb, M, N, K, 1, A, ta == N_ ? K : M, B, tb == N_ ? N : K, add, expected, N);
    void *a = operand(A, M * K, bf16), *b = operand(B, K * N, bf16);
    require(onednn_product(bf16, ta == T_, tb == T_, M, N, K, a, b, C, add) == 0, "oneDNN cannot multiply %zu x %zu x %zu", M, N,
            K);
    for (size_t i = 0; i < M * N; i++) /* |a b| < 1 */
        require_within(fabs((double)C[i] - expected[i]), 2 * (double)(K + 4) * (double)K * ROUNDOFF,
                       "transposes %d, add %d, element %zu", transposes, add, i);
    free(A);
    free(B);
    free(C);
    free(a);
    free(b);
    free(expected);
}

START_TEST(products_of_onednn)
{
    if (onednn_isa() < ONEDNN_AVX2)
        return;
    static const size_t sizes[][3] = {{1, 1, 1}, {7, 13, 31}, {64, 48, 512}, {256, 512, 512}, {33, 65, 129}};
    for (int bf16 = 0; bf16 <= gemm_bf16_native(); bf16++)
        for (int repeat = 0; repeat < 2; repeat++) /* compiled, and found again */
            for (int transposes = 0; transposes < 4; transposes++)
                for (int add = 0; add < 2; add++)
                    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
                        check_product(bf16, transposes, add, sizes[s][0], sizes[s][1], sizes[s][2]);
}
END_TEST

SUITE("bf16", a_bf16_number_is_its_own_rounding, the_nearest_and_from_half_way_the_even_one, a_nan_stays_one, products_of_onednn)
