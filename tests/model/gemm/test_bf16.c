/* test_bf16.c: rounding to bf16, and the oneDNN primitives that multiply the rounded numbers.
 *
 *   every bf16 number                  is its own rounding
 *   numbers between two neighbours     are rounded to the nearer, ties to even; infinities and NaN
 *                                      are unchanged
 *   onednn_matmul                      equals gemm_plain up to rounding, for each transpose,
 *                                      simultaneously on a thread that compiled it and on one that
 *                                      did not (each needs its own scratch memory); in bf16 if the
 *                                      processor supports it
 */
#include "model/gemm/bf16.h"
#include "model/gemm/gemm.h"
#include "model/gemm/gemm_onednn.h"
#include "tests/numbers.h"

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

/* One product by two threads at a time, each on arrays of its own, of which one at most has
 * compiled it. */
static void check_product(int bf16, int transposes, size_t M, size_t N, size_t K)
{
    enum { THREADS = 2 };
    const enum transpose ta = transposes & 1 ? T_ : N_, tb = transposes & 2 ? T_ : N_;
    const struct onednn_matmul p = {bf16, ta == T_, tb == T_, M, N, K};
    float *A[THREADS], *B[THREADS], *C[THREADS], *expected[THREADS];
    void *a[THREADS], *b[THREADS], *scratchpad[THREADS];
    int status[THREADS];
    for (uint32_t t = 0; t < THREADS; t++) {
        A[t] = random_array(M * K, 1, 3 * t), B[t] = random_array(K * N, 1, 3 * t + 1),
        C[t] = random_array(M * N, 1, 3 * t + 2);
        for (size_t i = 0; i < M * K; i++)
            A[t][i] = bf16_round(A[t][i]);
        for (size_t i = 0; i < K * N; i++)
            B[t][i] = bf16_round(B[t][i]);
        expected[t] = copy_of(C[t], M * N);
        gemm_plain(&(struct product){ta, tb, M, N, K, 1, A[t], ta == N_ ? K : M, B[t],
                                     tb == N_ ? N : K, 0, expected[t], N});
        a[t] = operand(A[t], M * K, bf16), b[t] = operand(B[t], K * N, bf16);
        scratchpad[t] = aligned_alloc(64, ONEDNN_SCRATCHPAD);
        ck_assert_ptr_nonnull(scratchpad[t]);
    }
#pragma omp parallel for num_threads(THREADS) schedule(static, 1)
    for (int t = 0; t < THREADS; t++)
        status[t] = onednn_matmul(&p, a[t], b[t], C[t], scratchpad[t], ONEDNN_SCRATCHPAD);
    for (int t = 0; t < THREADS; t++) {
        require(status[t] == 0, "oneDNN cannot multiply %zu x %zu x %zu", M, N, K);
        for (size_t i = 0; i < M * N; i++) /* |a b| < 1 */
            require_within(fabs((double)C[t][i] - expected[t][i]),
                           2 * (double)(K + 4) * (double)K * ROUNDOFF,
                           "%zu x %zu x %zu, transposes %d, thread %d, element %zu", M, N, K,
                           transposes, t, i);
        free(A[t]), free(B[t]), free(C[t]), free(expected[t]), free(a[t]), free(b[t]),
            free(scratchpad[t]);
    }
}

START_TEST(products_of_onednn)
{
    if (onednn_isa() < ONEDNN_AVX2)
        return;
    static const size_t sizes[][3] = {
        {1, 1, 1}, {7, 13, 31}, {64, 48, 512}, {160, 200, 260}, {33, 65, 129}};
    for (int bf16 = 0; bf16 <= gemm_backend_available(GEMM_ONEDNN_BF16, true); bf16++)
        for (int repeat = 0; repeat < 2; repeat++) /* compiled, and found again */
            for (int transposes = 0; transposes < 4; transposes++)
                for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
                    check_product(bf16, transposes, sizes[s][0], sizes[s][1], sizes[s][2]);
}
END_TEST

START_TEST(too_little_room)
{
    const float a[4] = {1, 2, 3, 4}, b[4] = {5, 6, 7, 8};
    float c[4];
    const struct onednn_matmul p = {false, false, false, 2, 2, 2};
    if (onednn_isa() >= ONEDNN_AVX2 &&
        onednn_matmul(&p, a, b, c, NULL, 0) == 0) /* it needs none, and has worked in none */
        require(c[0] == 19 && c[1] == 22 && c[2] == 43 && c[3] == 50, "%g %g %g %g", c[0], c[1],
                c[2], c[3]);
}
END_TEST

SUITE("bf16", a_bf16_number_is_its_own_rounding, the_nearest_and_from_half_way_the_even_one,
      a_nan_stays_one, products_of_onednn, too_little_room)
