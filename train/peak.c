/* peak.c: see peak.h. */
#include "train/peak.h"
#include "base/arena.h"
#include "model/gemm/gemm_backend.h"
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
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
    const double N = (double)B * (double)T, C = (double)c->n_embd;
    const double block = 12 * C * C; /* c_attn 3, c_proj 1, mlp 8 */
    const double attention =
        2 * C * (double)(T + 1) / 2; /* q . k and p v over (T+1)/2 keys on average */
    const double forward = (double)c->n_layer * (block + attention) +
                           C * (double)c->vocab_size; /* multiply-adds a token */
    return 3 * 2 * N * forward;
}

/* --- rates of all threads together ---
 *
 * Each thread measures its own part of the work while the others do theirs, in its own CPU time, which other programs have no part
 * in; its median stands, and the threads' rates are added. */

enum { TRIES = 15 };

struct task {
    void (*work)(const struct task *t, size_t rounds); /* one thread's part, so many times */
    double amount;                                     /* of one round of all threads */
    char *from, *to;
    size_t bytes;
    const struct unit *unit;
};

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double time_of(const struct task *t, size_t rounds)
{
    const double start = cpu_seconds();
    t->work(t, rounds);
    return cpu_seconds() - start;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double team_rate(const struct task *t)
{
    const double enough = 2e-3; /* seconds, against which reading the clock is nothing */
    double rate = 0;
#pragma omp parallel reduction(+ : rate)
    {
        double times[TRIES];
        size_t rounds = 1;
        while (time_of(t, rounds) < enough)
            rounds *= 2;
#pragma omp barrier
        for (int i = 0; i < TRIES; i++)
            times[i] = time_of(t, rounds);
        qsort(times, TRIES, sizeof *times, by_size);
        rate = t->amount / omp_get_num_threads() * (double)rounds / times[TRIES / 2];
    }
    const int threads = omp_get_max_threads(), cores = omp_get_num_procs();
    return threads > cores ? rate * cores / threads : rate; /* those have taken turns */
}

/* --- arithmetic --- */

#if defined __x86_64__
#define CHAINS  chains_avx512
#define TARGET  __attribute__((target("avx512f")))
#define VECTOR  __m512
#define OPERAND __m512
#define STEP(x) x = _mm512_fmadd_ps(x, a, b)
#include "train/peak_chains.h"

#define CHAINS  chains_avx2
#define TARGET  __attribute__((target("avx2,fma")))
#define VECTOR  __m256
#define OPERAND __m256
#define STEP(x) x = _mm256_fmadd_ps(x, a, b)
#include "train/peak_chains.h"

#define CHAINS  chains_bf16
#define TARGET  __attribute__((target("avx512f,avx512bf16")))
#define VECTOR  __m512
#define OPERAND __m512bh
#define STEP(x) x = _mm512_dpbf16_ps(x, a, b)
#include "train/peak_chains.h"

/* AMX: eight tiles of 16 rows of 64 bytes. The unit takes a new pair of tiles every 16 cycles and is done with it after 52, so six sums
 * that do not wait for each other keep it busy (Intel, Optimization Reference Manual, chapter 20). */
__attribute__((target("amx-tile,amx-bf16"))) static void chains_amx(size_t rounds)
{
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t row_bytes[16];
        uint8_t rows[16];
    } tiles = {.palette = 1};
    uint8_t operand[16 * 64];
    for (int i = 0; i < 8; i++)
        tiles.row_bytes[i] = 64, tiles.rows[i] = 16;
    memset(operand, 0x3f, sizeof operand);
    __asm__ volatile(
        ""
        : "+m"(tiles),
          "+m"(operand)); /* in memory, where the intrinsics do not say that they read it */
    _tile_loadconfig(&tiles);
    _tile_loadd(6, operand, 64);
    _tile_loadd(7, operand, 64);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_zero(4);
    _tile_zero(5);
    for (size_t r = 0; r < 2 * rounds; r++) {
        _tile_dpbf16ps(0, 6, 7);
        _tile_dpbf16ps(1, 6, 7);
        _tile_dpbf16ps(2, 6, 7);
        _tile_dpbf16ps(3, 6, 7);
        _tile_dpbf16ps(4, 6, 7);
        _tile_dpbf16ps(5, 6, 7);
    }
    _tile_release();
}

/* Whether the CPU has it and Linux, which has to be asked, lets this process use it (Documentation/arch/x86/xstate.rst). */
static bool amx_is_ours(void)
{
    enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18, AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24 };
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & AMX_BF16) && (d & AMX_TILE) &&
           syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}
#endif

typedef float vector128 __attribute__((vector_size(16)));
#define CHAINS chains_128
#define TARGET
#define VECTOR  vector128
#define OPERAND vector128
#define STEP(x) x = x * a + b
#include "train/peak_chains.h"

enum { CHAIN_COUNT = 12, ROUND = 1024 };

struct unit {
    const char *name;
    void (*chains)(size_t rounds);
    double flops; /* of one step of one chain */
};

static struct unit float32_unit(void)
{
#if defined __x86_64__
    if (__builtin_cpu_supports("avx512f"))
        return (struct unit){"AVX-512", chains_avx512, 2 * 16};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (struct unit){"AVX2", chains_avx2, 2 * 8};
#endif
    return (struct unit){"128-bit vectors", chains_128, 2 * 4};
}

static void compute(const struct task *t, size_t rounds)
{
    t->unit->chains(rounds * ROUND);
}

static double unit_peak(const struct unit *u)
{
    return team_rate(
        &(struct task){compute, u->flops * CHAIN_COUNT * ROUND * omp_get_max_threads(), .unit = u});
}

double float32_peak(void)
{
    const struct unit u = float32_unit();
    return unit_peak(&u);
}

const char *vector_unit(void)
{
    return float32_unit().name;
}

static struct unit bf16_units(void)
{
#if defined __x86_64__
    if (amx_is_ours())
        return (struct unit){"AMX", chains_amx, 2 * 16 * 16 * 32};
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bf16"))
        return (struct unit){"AVX512_BF16", chains_bf16, 2 * 32};
#endif
    return (struct unit){NULL, NULL, 0};
}

double bf16_peak(void)
{
    const struct unit u = bf16_units();
    return u.chains ? unit_peak(&u) : 0;
}

const char *bf16_unit(void)
{
    return bf16_units().name;
}

double products_peak(bool bf16)
{
    const double narrow =
        bf16 && gemm_backend_choice(true, NULL) == GEMM_ONEDNN_BF16 ? bf16_peak() : 0;
    return narrow > 0 ? narrow : float32_peak();
}

/* --- memory --- */

/* A thread's part: whole cache lines. */
static size_t part(const struct task *t, size_t *first)
{
    const size_t threads = (size_t)omp_get_num_threads(), id = (size_t)omp_get_thread_num(),
                 lines = t->bytes / 64;
    *first = lines * id / threads * 64;
    return lines * (id + 1) / threads * 64 - *first;
}

static void copy(const struct task *t, size_t rounds)
{
    size_t first;
    const size_t size = part(t, &first);
    for (size_t r = 0; r < rounds; r++)
        memcpy(t->to + first, t->from + first, size);
}

static void read_all(const struct task *t, size_t rounds)
{
    size_t first;
    const size_t size = part(t, &first);
    for (size_t r = 0; r < rounds; r++) {
        const uint64_t *words = (const uint64_t *)(t->from + first);
        uint64_t sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t i = 0; i < size / sizeof *words; i++)
            sum += words[i];
        __asm__ volatile("" : : "r"(sum) : "memory"); /* somebody might read it */
    }
}

/* Work over so many bytes in all, of which `task` takes its own. */
static double memory_rate(struct task task, size_t bytes)
{
    struct arena a = {0};
    arena_take(&a, bytes, 1);
    if (arena_allocate(&a))
        return 0;
    task.from = arena_take(&a, bytes, 1);
    task.to = task.from + bytes / 2;
    const double rate = team_rate(&task);
    arena_free(&a);
    return rate;
}

double copy_bandwidth(size_t bytes)
{
    return memory_rate((struct task){copy, (double)bytes, .bytes = bytes / 2}, bytes);
}

double read_bandwidth(size_t bytes)
{
    return memory_rate((struct task){read_all, (double)bytes, .bytes = bytes}, bytes);
}
