/* test_allocation.c: nothing is allocated inside a step. After a warm-up that creates threads
 * and buffers, neither model, optimiser and decoder nor OpenMP allocate memory. OpenBLAS and
 * oneDNN are exempt: their AVX-512 kernels allocate buffers in some calls.
 *
 * The test defines malloc, calloc, realloc, memalign, aligned_alloc, posix_memalign, free and
 * mmap, which replace those of the C library in shared libraries too, and counts calls while
 * `counting` is set. (mallinfo does not see memory that is freed at once; ld's --wrap does not
 * see calls from shared libraries.) Sanitizers have their own allocator, so this test is
 * not built with them. Valgrind replaces these functions unless it gets
 * --soname-synonyms=somalloc=nouserintercepts. The first test checks that calls are counted.
 *
 * At least two threads: for one thread, in nested regions or with OMP_NUM_THREADS=1, libgomp
 * allocates memory in every parallel region. */
#include "model/decode.h"
#include "model/gpt.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include "tests/batch.h"
#include "tests/numbers.h"
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int counting, allocations;

/* The libraries that may allocate, and their addresses: those for matrix products, and C++'s, which
 * oneDNN uses. */
static struct {
    const char *name;
    uintptr_t begin, end;
} exempt[] = {{"libopenblas", 0, 0}, {"libdnnl", 0, 0}, {"libstdc++", 0, 0}};
enum { EXEMPT = sizeof exempt / sizeof *exempt };

static void count(const void *caller)
{
    const uintptr_t c = (uintptr_t)caller;
    if (!atomic_load_explicit(&counting, memory_order_relaxed))
        return;
    for (int i = 0; i < EXEMPT; i++)
        if (c >= exempt[i].begin && c < exempt[i].end)
            return;
    atomic_fetch_add(&allocations, 1);
}
#define COUNT() count(__builtin_return_address(0))

static int find_exempt(struct dl_phdr_info *object, size_t size, void *context)
{
    (void)size, (void)context;
    for (int e = 0; e < EXEMPT; e++) {
        if (!strstr(object->dlpi_name, exempt[e].name))
            continue;
        exempt[e].begin = object->dlpi_addr;
        for (int i = 0; i < object->dlpi_phnum; i++) {
            const uintptr_t end =
                object->dlpi_addr + object->dlpi_phdr[i].p_vaddr + object->dlpi_phdr[i].p_memsz;
            if (object->dlpi_phdr[i].p_type == PT_LOAD && end > exempt[e].end)
                exempt[e].end = end;
        }
    }
    return 0;
}

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

void *malloc(size_t n)
{
    COUNT();
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    COUNT();
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    COUNT();
    return __libc_realloc(p, n);
}

void *memalign(size_t alignment, size_t n) /* called by libgomp */
{
    COUNT();
    return __libc_memalign(alignment, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    COUNT();
    return __libc_memalign(alignment, n);
}

int posix_memalign(void **p, size_t alignment, size_t n)
{
    COUNT();
    *p = __libc_memalign(alignment, n);
    return *p ? 0 : ENOMEM;
}

void free(void *p)
{
    __libc_free(p);
}

void *mmap(void *p, size_t n, int protection, int flags, int file, off_t offset)
{
    COUNT();
    return (void *)syscall(SYS_mmap, p, n, protection, flags, file, offset);
}

enum { B = 4, T = 65, V = 130, ROWS = B * T, WARM_UP = 2, STEPS = 3 };

static const struct model_config config = {.n_layer = 2,
                                           .n_head = 2,
                                           .n_embd = 40,
                                           .block_size = T,
                                           .vocab_size = V,
                                           .padded_vocab_size = V + 6,
                                           .bias = true,
                                           .gelu = GELU_TANH};
static uint32_t inputs[ROWS], targets[ROWS];

static struct gpt model(void)
{
    struct gpt g;
    dl_iterate_phdr(find_exempt, NULL);
    ck_assert_uint_ne(exempt[0].begin, 0);
    ck_assert_int_eq(gpt_create(&g, tensors_create(&config), ROWS, GPT_TRAIN), 0);
    gpt_init(&g, 1);
    for (size_t n = 0; n < ROWS; n++)
        inputs[n] = targets[(n + 1) % ROWS] = (uint32_t)(n * n % V);
    return g;
}

static int stop_counting(void)
{
    atomic_store(&counting, 0);
    return atomic_exchange(&allocations, 0);
}

START_TEST(allocations_are_counted)
{
    atomic_store(&counting, 1);
    void *volatile p = malloc(100), *volatile q = calloc(3, 5);
    const int n = stop_counting();
    free(p);
    free(q);
    ck_assert_int_eq(n, 2);
#pragma omp parallel num_threads(2)
    {
#pragma omp barrier
#pragma omp master
        atomic_store(&counting, 1);
#pragma omp barrier
        void *volatile p = malloc(10);
        free(p);
    }
    ck_assert_int_ge(stop_counting(), 2);
}
END_TEST

START_TEST(training_steps_allocate_nothing)
{
    const struct adamw o = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1};
    for (int dropped = 0; dropped < 2; dropped++)
        for (int threads = 2; threads <= 3; threads++) {
            omp_set_num_threads(threads);
            struct gpt g = model();
            real *m = zeros(g.tensors->total), *v = zeros(g.tensors->total);
            struct dropout d = {.p = dropped ? 0.1 : 0, .seed = 1};
            for (d.step = 1; d.step <= WARM_UP + STEPS; d.step++) {
                atomic_store(&counting, d.step > WARM_UP);
                memset(g.grads, 0, g.tensors->total * sizeof(real));
                gpt_loss_and_grads(&g, BATCH(inputs, targets, B, T, 1), &d);
                const double factor = clip_factor(gradient_norm(g.grads, g.tensors), 1);
                adamw_update(g.params, m, v, g.grads, factor, g.tensors, &o, 1e-3, d.step);
                gpt_loss(&g, BATCH(inputs, targets, B, T, 1), NULL);
            }
            const int n = stop_counting();
            require(n == 0, "%d allocations in %d steps with %d threads", n, STEPS, threads);
            free(m);
            free(v);
            gpt_destroy(&g);
        }
}
END_TEST

START_TEST(decoding_allocates_nothing)
{
    omp_set_num_threads(2);
    struct gpt g = model();
    struct decoder d;
    real *logits = zeros(V);
    ck_assert_int_eq(decoder_create(&d, &g, 1, T), 0);
    for (int round = 0; round < WARM_UP + STEPS; round++) {
        atomic_store(&counting, round >= WARM_UP);
        decoder_rewind(&d, 0);
        decoder_forward(&d, logits, inputs, T / 2);
        for (size_t t = T / 2; t < T; t++)
            decoder_forward(&d, logits, inputs + t, 1);
    }
    const int n = stop_counting();
    require(n == 0, "%d allocations in %d texts", n, STEPS);
    free(logits);
    decoder_destroy(&d);
    gpt_destroy(&g);
}
END_TEST

SUITE("model/allocation", allocations_are_counted, training_steps_allocate_nothing,
      decoding_allocates_nothing)
