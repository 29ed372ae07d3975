/* gemm_onednn.c: see gemm_onednn.h.
 *
 * A product of floats is one call, dnnl_sgemm. A product of bf16 numbers is a "primitive": code
 * that oneDNN compiles for one shape. Compiling takes far longer than multiplying, so primitives
 * are kept in a list for the whole process; a training run has a few dozen shapes. Each is compiled
 * for one thread, so results cannot depend on the number of threads.
 *
 * oneDNN's functions return 0 (dnnl_success) or an error code.
 */
#include "model/gemm/gemm_onednn.h"

#ifdef HAVE_ONEDNN

#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#if __has_include(<oneapi/dnnl/dnnl.h>)
#include <oneapi/dnnl/dnnl.h>
#else
#include <dnnl.h>
#endif

enum onednn_isa onednn_isa(void)
{
    static const struct {
        int bits;
        enum onednn_isa isa;
    } levels[] = {{dnnl_cpu_isa_avx512_core_amx, ONEDNN_AMX},
                  {dnnl_cpu_isa_avx512_core_bf16, ONEDNN_BF16},
                  {dnnl_cpu_isa_avx512_core, ONEDNN_AVX512},
                  {dnnl_cpu_isa_avx2, ONEDNN_AVX2}};
    const int bits = (int)dnnl_get_effective_cpu_isa();
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if ((bits & levels[i].bits) == levels[i].bits)
            return levels[i].isa;
    return ONEDNN_OLD;
}

int onednn_sgemm(const struct product *p)
{
    return dnnl_sgemm(p->ta == N_ ? 'N' : 'T', p->tb == N_ ? 'N' : 'T', p->M, p->N, p->K, p->alpha,
                      p->A, p->lda, p->B, p->ldb, p->beta, p->C, p->ldc)
               ? -1
               : 0;
}

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t layout_view;
#define VIEW(layout) (layout)
#else
typedef const dnnl_memory_desc_t *layout_view;
#define VIEW(layout)                         (&(layout))
#define dnnl_memory_desc_create_with_strides dnnl_memory_desc_init_by_strides
#endif

/* A matrix of rows x columns; if transposed, stored as columns x rows. */
static bool describe(dnnl_memory_desc_t *layout, size_t rows, size_t columns, bool transposed,
                     dnnl_data_type_t type)
{
    const dnnl_dims_t sizes = {rows, columns};
    const dnnl_dims_t strides = {transposed ? 1 : columns, transposed ? rows : 1};
    return !dnnl_memory_desc_create_with_strides(layout, 2, sizes, type, strides);
}

/* The layouts of A, B and C. */
static bool describe_all(dnnl_memory_desc_t layouts[3], const struct onednn_matmul *p)
{
    const dnnl_data_type_t type = p->bf16 ? dnnl_bf16 : dnnl_f32;
    return describe(&layouts[0], p->M, p->K, p->transpose_a, type) &&
           describe(&layouts[1], p->K, p->N, p->transpose_b, type) &&
           describe(&layouts[2], p->M, p->N, false, dnnl_f32);
}

static void free_all(dnnl_memory_desc_t layouts[3])
{
#if DNNL_VERSION_MAJOR >= 3
    for (int i = 0; i < 3; i++)
        if (layouts[i])
            dnnl_memory_desc_destroy(layouts[i]);
#else
    (void)layouts;
#endif
}

/* A compiled product. */
struct primitive {
    dnnl_primitive_t code; /* NULL: compilation failed */
    dnnl_primitive_desc_t desc;
};

static layout_view scratchpad_layout(const struct primitive *c)
{
    return dnnl_primitive_desc_query_md(c->desc, dnnl_query_scratchpad_md, 0);
}

static bool create(struct primitive *c, dnnl_memory_desc_t layouts[3],
                   dnnl_primitive_attr_t attributes, dnnl_engine_t cpu)
{
#if DNNL_VERSION_MAJOR >= 3
    return !dnnl_matmul_primitive_desc_create(&c->desc, cpu, layouts[0], layouts[1], NULL,
                                              layouts[2], attributes) &&
           !dnnl_primitive_create(&c->code, c->desc);
#else
    dnnl_matmul_desc_t matmul;
    return !dnnl_matmul_desc_init(&matmul, &layouts[0], &layouts[1], NULL, &layouts[2]) &&
           !dnnl_primitive_desc_create(&c->desc, &matmul, attributes, cpu, NULL) &&
           !dnnl_primitive_create(&c->code, c->desc);
#endif
}

/* Compiles a product for one thread, with the caller's scratchpad. The library's own scratchpad
 * belongs to the thread that compiled the primitive: two threads that run it at once would
 * overwrite each other's data. */
static struct primitive compile(const struct onednn_matmul *p, dnnl_engine_t cpu)
{
    dnnl_memory_desc_t layouts[3] = {0};
    dnnl_primitive_attr_t attributes = NULL;
    struct primitive c = {NULL, NULL};
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1); /* for this thread only */
    if (!describe_all(layouts, p) || dnnl_primitive_attr_create(&attributes) ||
        dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user) ||
        !create(&c, layouts, attributes, cpu))
        c.code = NULL;
    omp_set_num_threads(threads);
    if (attributes)
        dnnl_primitive_attr_destroy(attributes);
    free_all(layouts);
    return c;
}

enum { MAX_PRIMITIVES = 512 };

static struct {
    pthread_mutex_t adding;
    atomic_size_t count;
    dnnl_engine_t cpu;
    struct {
        struct onednn_matmul product;
        struct primitive primitive;
    } list[MAX_PRIMITIVES];
} compiled = {.adding = PTHREAD_MUTEX_INITIALIZER};

/* The index of a product among the first n, or n. */
static size_t find(const struct onednn_matmul *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct onednn_matmul *q = &compiled.list[i].product;
        if (p->M == q->M && p->N == q->N && p->K == q->K && p->transpose_a == q->transpose_a &&
            p->transpose_b == q->transpose_b && p->bf16 == q->bf16)
            return i;
    }
    return n;
}

/* Entries are added under the lock and never change, so looking one up needs no lock. Returns NULL
 * if the list is full or there is no engine. */
static const struct primitive *primitive_for(const struct onednn_matmul *p)
{
    size_t n = atomic_load_explicit(&compiled.count, memory_order_acquire), i = find(p, n);
    if (i < n)
        return &compiled.list[i].primitive;
    pthread_mutex_lock(&compiled.adding);
    n = atomic_load(&compiled.count);
    i = find(p, n);
    if (i == n && n < MAX_PRIMITIVES &&
        (compiled.cpu || !dnnl_engine_create(&compiled.cpu, dnnl_cpu, 0))) {
        compiled.list[n].product = *p;
        compiled.list[n].primitive = compile(p, compiled.cpu);
        atomic_store_explicit(&compiled.count, ++n, memory_order_release);
    }
    pthread_mutex_unlock(&compiled.adding);
    return i < n ? &compiled.list[i].primitive : NULL;
}

static bool run(const struct primitive *c, const struct onednn_matmul *p, const void *A,
                const void *B, float *C, void *scratchpad)
{
    static const int roles[4] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD};
    void *const data[4] = {(void *)A, (void *)B, C, scratchpad};
    dnnl_memory_desc_t layouts[3] = {0};
    dnnl_exec_arg_t arguments[4] = {0};
    dnnl_stream_t stream = NULL;
    bool ok = describe_all(layouts, p);
    for (int i = 0; i < 4 && ok; i++) {
        arguments[i].arg = roles[i];
        ok = !dnnl_memory_create(&arguments[i].memory,
                                 i < 3 ? VIEW(layouts[i]) : scratchpad_layout(c), compiled.cpu,
                                 data[i]);
    }
    ok = ok && !dnnl_stream_create(&stream, compiled.cpu, dnnl_stream_default_flags) &&
         !dnnl_primitive_execute(c->code, stream, 4, arguments);
    if (stream)
        dnnl_stream_destroy(stream);
    for (int i = 0; i < 4; i++)
        if (arguments[i].memory)
            dnnl_memory_destroy(arguments[i].memory);
    free_all(layouts);
    return ok;
}

int onednn_matmul(const struct onednn_matmul *p, const void *A, const void *B, float *C,
                  void *scratchpad, size_t scratchpad_bytes)
{
    const struct primitive *c = primitive_for(p);
    const bool ok = c && c->code &&
                    dnnl_memory_desc_get_size(scratchpad_layout(c)) <= scratchpad_bytes &&
                    run(c, p, A, B, C, scratchpad);
    return ok ? 0 : -1;
}

#else

enum onednn_isa onednn_isa(void)
{
    return ONEDNN_ABSENT;
}

int onednn_sgemm(const struct product *p)
{
    (void)p;
    return -1;
}

int onednn_matmul(const struct onednn_matmul *p, const void *A, const void *B, float *C,
                  void *scratchpad, size_t scratchpad_bytes)
{
    (void)p, (void)A, (void)B, (void)C, (void)scratchpad, (void)scratchpad_bytes;
    return -1;
}

#endif
