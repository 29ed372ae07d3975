/* peak.c: see peak.h. */
#include "train/peak.h"
#include "base/arena.h"
#include "base/median.h"
#include "model/gemm/gemm_backend.h"
#include <omp.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#if defined __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

double step_flops(const struct model_config *c, size_t B, size_t T)
{
    const double N = (double)B * T, C = c->n_embd, Q = model_dim(c, 'Q'), A = model_dim(c, 'A'),
                 F = model_dim(c, 'F');
    /* Multiply-adds of a token: c_attn, c_proj, mlp; q . k and p v over (T + 1) / 2 keys. */
    const double block = C * Q + A * C + 2 * C * F + 2 * A * (T + 1) / 2;
    return 3 * 2 * N * (c->n_layer * block + C * c->vocab_size);
}

/* --- the rate of all threads together ---
 *
 * Each thread times its part of the work in its own CPU time, while the others do theirs. The rate
 * is the sum of the threads' medians. */

enum { TRIES = 15 };

struct task;
typedef void work(const struct task *t, size_t rounds);

struct task {
    work *work;
    double amount;   /* of one round of all threads */
    char *from, *to; /* of memory, `bytes` each */
    size_t bytes;
};

/* A thread's share, in whole cache lines. */
static struct task part_of(struct task t)
{
    const size_t threads = omp_get_num_threads(), thread = omp_get_thread_num(),
                 lines = t.bytes / 64, first = lines * thread / threads;
    if (!t.bytes)
        return t;
    t.from += 64 * first;
    t.to += 64 * first;
    t.bytes = 64 * (lines * (thread + 1) / threads - first);
    return t;
}

static double time_of(const struct task *t, size_t rounds)
{
    struct timespec a, b;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    t->work(t, rounds);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    return b.tv_sec - a.tv_sec + 1e-9 * (b.tv_nsec - a.tv_nsec);
}

static double team_rate(struct task task)
{
    const double long_enough = 2e-3; /* seconds, to neglect reading the clock */
    double rate = 0;
#pragma omp parallel reduction(+ : rate)
    {
        const struct task part = part_of(task);
        double times[TRIES];
        size_t rounds = 1;
        while (time_of(&part, rounds) < long_enough)
            rounds *= 2;
#pragma omp barrier
        for (int i = 0; i < TRIES; i++)
            times[i] = time_of(&part, rounds);
        rate = task.amount / omp_get_num_threads() * rounds / sort_and_median(times, TRIES);
    }
    const int threads = omp_get_max_threads(), cores = omp_get_num_procs();
    /* CPU time ignores that threads share cores. */
    return threads > cores ? rate * cores / threads : rate;
}

enum { STEPS_PER_ROUND = 1024 };

/* --- arithmetic ---
 *
 * A unit starts one or two multiply-adds per cycle and completes each after four or five cycles, so
 * twelve independent chains keep it busy; with a and b they fit into sixteen registers. The values,
 * 0.747 in float and 0.746 in bf16, neither overflow nor vanish. The asm statements hide from the
 * compiler that all chains are equal and the result unused. Variables rather than an array stay in
 * registers at any level of optimisation. */
#define CHAINS(name, target, vector, operand, multiply_add)                                        \
    static target void name(const struct task *t, size_t rounds)                                   \
    {                                                                                              \
        (void)t;                                                                                   \
        operand a, b;                                                                              \
        vector x[12];                                                                              \
        memset(&a, 0x3f, sizeof a);                                                                \
        memset(&b, 0x3f, sizeof b);                                                                \
        memset(x, 0x3f, sizeof x);                                                                 \
        __asm__ volatile("" : "+m"(a), "+m"(b), "+m"(x));                                          \
        vector x0 = x[0], x1 = x[1], x2 = x[2], x3 = x[3], x4 = x[4], x5 = x[5];                   \
        vector x6 = x[6], x7 = x[7], x8 = x[8], x9 = x[9], x10 = x[10], x11 = x[11];               \
        for (size_t i = 0; i < rounds * STEPS_PER_ROUND; i++) {                                    \
            x0 = multiply_add(x0, a, b), x1 = multiply_add(x1, a, b);                              \
            x2 = multiply_add(x2, a, b), x3 = multiply_add(x3, a, b);                              \
            x4 = multiply_add(x4, a, b), x5 = multiply_add(x5, a, b);                              \
            x6 = multiply_add(x6, a, b), x7 = multiply_add(x7, a, b);                              \
            x8 = multiply_add(x8, a, b), x9 = multiply_add(x9, a, b);                              \
            x10 = multiply_add(x10, a, b), x11 = multiply_add(x11, a, b);                          \
        }                                                                                          \
        x[0] = x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + x10 + x11;                        \
        __asm__ volatile("" : : "m"(x));                                                           \
    }

#if defined __x86_64__
#define TARGET(features) __attribute__((target(features)))
CHAINS(chains_avx512, TARGET("avx512f"), __m512, __m512, _mm512_fmadd_ps)
CHAINS(chains_avx2, TARGET("avx2,fma"), __m256, __m256, _mm256_fmadd_ps)
CHAINS(chains_bf16, TARGET("avx512f,avx512bf16"), __m512, __m512bh, _mm512_dpbf16_ps)

/* AMX: tiles of 16 rows of 64 bytes. The unit starts a product every 16 cycles and completes it
 * after 52, so six independent sums keep it busy (Intel, Optimization Reference Manual, chapter
 * 20). */
TARGET("amx-tile,amx-bf16") static void chains_amx(const struct task *t, size_t rounds)
{
    (void)t;
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } tiles = {.palette = 1};
    uint8_t operand[16 * 64];
    for (int i = 0; i < 8; i++)
        tiles.row_bytes[i] = 64, tiles.rows[i] = 16;
    memset(operand, 0x3f, sizeof operand);
    /* The intrinsics do not declare that they read memory. */
    __asm__ volatile("" : "+m"(tiles), "+m"(operand));
    _tile_loadconfig(&tiles); /* zeroes the tiles */
    _tile_loadd(6, operand, 64);
    _tile_loadd(7, operand, 64);
    for (size_t i = 0; i < 2 * rounds * STEPS_PER_ROUND; i++) {
        _tile_dpbf16ps(0, 6, 7);
        _tile_dpbf16ps(1, 6, 7);
        _tile_dpbf16ps(2, 6, 7);
        _tile_dpbf16ps(3, 6, 7);
        _tile_dpbf16ps(4, 6, 7);
        _tile_dpbf16ps(5, 6, 7);
    }
    _tile_release();
}

/* Linux grants AMX on request only (Documentation/arch/x86/xstate.rst). */
static bool amx_available(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18, AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24 };
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & AMX_BF16) && (d & AMX_TILE) &&
           syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}
#endif

typedef float vector128 __attribute__((vector_size(16)));
#define MULTIPLY_ADD(x, a, b) x *a + b
CHAINS(chains_128, , vector128, vector128, MULTIPLY_ADD)

/* flops: of one multiply_add. */
static struct peak unit_peak(const char *unit, work *chains, double flops)
{
    const double amount = flops * 12 * STEPS_PER_ROUND * omp_get_max_threads();
    return (struct peak){unit, team_rate((struct task){.work = chains, .amount = amount})};
}

struct peak float32_peak(void)
{
#if defined __x86_64__
    if (__builtin_cpu_supports("avx512f"))
        return unit_peak("AVX-512", chains_avx512, 2 * 16);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return unit_peak("AVX2", chains_avx2, 2 * 8);
#endif
    return unit_peak("128-bit vectors", chains_128, 2 * 4);
}

struct peak bf16_peak(void)
{
#if defined __x86_64__
    if (amx_available())
        return unit_peak("AMX", chains_amx, 2 * 16 * 16 * 32);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bf16"))
        return unit_peak("AVX512_BF16", chains_bf16, 2 * 32);
#endif
    return (struct peak){0};
}

double products_peak(bool bf16)
{
    const double peak =
        bf16 && gemm_backend_choice(true, NULL) == GEMM_ONEDNN_BF16 ? bf16_peak().flops : 0;
    return peak > 0 ? peak : float32_peak().flops;
}

/* --- memory --- */

static void copy(const struct task *t, size_t rounds)
{
    for (size_t r = 0; r < rounds; r++)
        memcpy(t->to, t->from, t->bytes);
}

static void read_all(const struct task *t, size_t rounds)
{
    const uint64_t *words = (const uint64_t *)t->from;
    for (size_t r = 0; r < rounds; r++) {
        uint64_t sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t i = 0; i < t->bytes / sizeof *words; i++)
            sum += words[i];
        __asm__ volatile("" : : "r"(sum) : "memory"); /* uses the sum */
    }
}

/* Over an arena of `bytes`, of which part_bytes are read and the rest written. */
static double memory_rate(work *work, size_t bytes, size_t part_bytes)
{
    struct arena a = {0};
    arena_take(&a, bytes, 1);
    if (arena_allocate(&a))
        return 0;
    const double rate =
        team_rate((struct task){work, bytes, a.base, a.base + bytes - part_bytes, part_bytes});
    arena_free(&a);
    return rate;
}

double copy_bandwidth(size_t bytes)
{
    return memory_rate(copy, bytes, bytes / 2);
}

double read_bandwidth(size_t bytes)
{
    return memory_rate(read_all, bytes, bytes);
}
