/* gemm_onednn.c: see gemm_onednn.h.
 *
 * Float products are one call, dnnl_sgemm. bf16 ones are "primitives": compiled for one shape, which costs far more than it
 * takes to multiply, and kept in a list for the whole process, like the library's own code cache behind it. A training run has
 * a few dozen shapes. Each is made for one thread, from wherever it is first wanted, so that it cannot depend on how many there are.
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
    const int isa = (int)dnnl_get_effective_cpu_isa();
    static const struct {
        int bits;
        enum onednn_isa means;
    } levels[] = {{dnnl_cpu_isa_avx512_core_amx, ONEDNN_AMX},
                  {dnnl_cpu_isa_avx512_core_bf16, ONEDNN_BF16},
                  {dnnl_cpu_isa_avx512_core, ONEDNN_AVX512},
                  {dnnl_cpu_isa_avx2, ONEDNN_AVX2}};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if ((isa & levels[i].bits) == levels[i].bits)
            return levels[i].means;
    return ONEDNN_OLD;
}

int onednn_sgemm(bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, float alpha,
                 const float *A, size_t lda, const float *B, size_t ldb, float beta, float *C,
                 size_t ldc)
{
    return dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', (dnnl_dim_t)M,
                      (dnnl_dim_t)N, (dnnl_dim_t)K, alpha, A, (dnnl_dim_t)lda, B, (dnnl_dim_t)ldb,
                      beta, C, (dnnl_dim_t)ldc) == dnnl_success
               ? 0
               : -1;
}

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t layout;
typedef const_dnnl_memory_desc_t layout_view;
#define LAYOUT(l) (l)
#else
typedef dnnl_memory_desc_t layout;
typedef const dnnl_memory_desc_t *layout_view;
#define LAYOUT(l) (&(l))
#endif

/* rows x columns; transposed: what lies in memory is columns x rows. */
static dnnl_status_t describe(layout *l, size_t rows, size_t columns, bool transposed,
                              dnnl_data_type_t type)
{
    const dnnl_dims_t sizes = {(dnnl_dim_t)rows, (dnnl_dim_t)columns};
    const dnnl_dims_t strides = {transposed ? 1 : (dnnl_dim_t)columns,
                                 transposed ? (dnnl_dim_t)rows : 1};
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_with_strides(l, 2, sizes, type, strides);
#else
    return dnnl_memory_desc_init_by_strides(l, 2, sizes, type, strides);
#endif
}

/* The three operands of a product: A, B, C. */
static dnnl_status_t describe_all(layout l[3], const struct onednn_product *p)
{
    const dnnl_data_type_t operands = p->bf16 ? dnnl_bf16 : dnnl_f32;
    dnnl_status_t status = describe(&l[0], p->M, p->K, p->transpose_a, operands);
    if (status == dnnl_success)
        status = describe(&l[1], p->K, p->N, p->transpose_b, operands);
    if (status == dnnl_success)
        status = describe(&l[2], p->M, p->N, false, dnnl_f32);
    return status;
}

static void forget_all(layout l[3])
{
#if DNNL_VERSION_MAJOR >= 3
    for (int i = 0; i < 3; i++)
        if (l[i])
            dnnl_memory_desc_destroy(l[i]);
#else
    (void)l;
#endif
}

/* What a primitive works in is the caller's: the library's own belongs to the thread that compiled it, while others run it too, and two
 * of them at once would write over each other. */
static dnnl_status_t describe_how(dnnl_primitive_attr_t *how)
{
    const dnnl_status_t status = dnnl_primitive_attr_create(how);
    return status == dnnl_success
               ? dnnl_primitive_attr_set_scratchpad_mode(*how, dnnl_scratchpad_mode_user)
               : status;
}

/* The code of one product. */
struct code {
    dnnl_primitive_t run; /* NULL: it cannot be had */
    dnnl_primitive_desc_t described;
};

static layout_view scratchpad(const struct code *c)
{
    return dnnl_primitive_desc_query_md(c->described, dnnl_query_scratchpad_md, 0);
}

static dnnl_status_t compile_with(struct code *c, layout l[3], const_dnnl_primitive_attr_t how,
                                  dnnl_engine_t cpu)
{
#if DNNL_VERSION_MAJOR >= 3
    dnnl_status_t status =
        dnnl_matmul_primitive_desc_create(&c->described, cpu, l[0], l[1], NULL, l[2], how);
#else
    dnnl_matmul_desc_t product;
    dnnl_status_t status = dnnl_matmul_desc_init(&product, &l[0], &l[1], NULL, &l[2]);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&c->described, &product, how, cpu, NULL);
#endif
    return status == dnnl_success ? dnnl_primitive_create(&c->run, c->described) : status;
}

/* Compiles a product, for one thread. */
static struct code compile(const struct onednn_product *p, dnnl_engine_t cpu)
{
    layout l[3] = {0};
    dnnl_primitive_attr_t how = NULL;
    struct code c = {NULL, NULL};
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1); /* of this task alone */
    if (describe_all(l, p) == dnnl_success && describe_how(&how) == dnnl_success &&
        compile_with(&c, l, how, cpu) != dnnl_success)
        c.run = NULL;
    omp_set_num_threads(threads);
    if (how)
        dnnl_primitive_attr_destroy(how);
    forget_all(l);
    return c;
}

enum { PRODUCTS = 512 };

static struct {
    pthread_mutex_t adding;
    atomic_size_t count;
    dnnl_engine_t cpu;
    struct {
        struct onednn_product product;
        struct code code;
    } list[PRODUCTS];
} compiled = {.adding = PTHREAD_MUTEX_INITIALIZER};

static bool same(const struct onednn_product *a, const struct onednn_product *b)
{
    return a->M == b->M && a->N == b->N && a->K == b->K && a->transpose_a == b->transpose_a &&
           a->transpose_b == b->transpose_b && a->bf16 == b->bf16;
}

/* The index of a product among the first n, or n. */
static size_t find(const struct onednn_product *p, size_t n)
{
    size_t i = 0;
    while (i < n && !same(&compiled.list[i].product, p))
        i++;
    return i;
}

/* Entries are added under the lock and never change, so looking one up needs none. NULL: the list is full, or there is no engine. */
static const struct code *code_for(const struct onednn_product *p)
{
    size_t n = atomic_load_explicit(&compiled.count, memory_order_acquire), i = find(p, n);
    if (i < n)
        return &compiled.list[i].code;
    pthread_mutex_lock(&compiled.adding);
    n = atomic_load(&compiled.count);
    i = find(p, n);
    if (i == n && n < PRODUCTS &&
        (compiled.cpu || dnnl_engine_create(&compiled.cpu, dnnl_cpu, 0) == dnnl_success)) {
        compiled.list[n].product = *p;
        compiled.list[n].code = compile(p, compiled.cpu);
        atomic_store_explicit(&compiled.count, ++n, memory_order_release);
    }
    pthread_mutex_unlock(&compiled.adding);
    return i < n ? &compiled.list[i].code : NULL;
}

static dnnl_status_t run(const struct code *c, const struct onednn_product *p, const void *A,
                         const void *B, float *C, void *room)
{
    static const int roles[4] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, DNNL_ARG_SCRATCHPAD};
    void *const data[4] = {(void *)A, (void *)B, C, room};
    layout l[3] = {0};
    dnnl_exec_arg_t arguments[4] = {0};
    dnnl_stream_t stream = NULL;
    dnnl_status_t status = describe_all(l, p);
    for (int i = 0; i < 4 && status == dnnl_success; i++) {
        arguments[i].arg = roles[i];
        status = dnnl_memory_create(&arguments[i].memory, i < 3 ? LAYOUT(l[i]) : scratchpad(c),
                                    compiled.cpu, data[i]);
    }
    if (status == dnnl_success)
        status = dnnl_stream_create(&stream, compiled.cpu, dnnl_stream_default_flags);
    if (status == dnnl_success)
        status = dnnl_primitive_execute(c->run, stream, 4, arguments);
    if (stream)
        dnnl_stream_destroy(stream);
    for (int i = 0; i < 4; i++)
        if (arguments[i].memory)
            dnnl_memory_destroy(arguments[i].memory);
    forget_all(l);
    return status;
}

int onednn_product(const struct onednn_product *p, const void *A, const void *B, float *C,
                   void *room, size_t room_bytes)
{
    const struct code *c = code_for(p);
    return c && c->run && dnnl_memory_desc_get_size(scratchpad(c)) <= room_bytes &&
                   run(c, p, A, B, C, room) == dnnl_success
               ? 0
               : -1;
}

#else

enum onednn_isa onednn_isa(void)
{
    return ONEDNN_ABSENT;
}

int onednn_sgemm(bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, float alpha,
                 const float *A, size_t lda, const float *B, size_t ldb, float beta, float *C,
                 size_t ldc)
{
    (void)transpose_a, (void)transpose_b, (void)M, (void)N, (void)K, (void)alpha, (void)A,
        (void)lda, (void)B, (void)ldb;
    (void)beta, (void)C, (void)ldc;
    return -1;
}

int onednn_product(const struct onednn_product *p, const void *A, const void *B, float *C,
                   void *room, size_t room_bytes)
{
    (void)p, (void)A, (void)B, (void)C, (void)room, (void)room_bytes;
    return -1;
}

#endif
