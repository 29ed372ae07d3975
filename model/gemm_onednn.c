/* gemm_onednn.c: see gemm_onednn.h.
 *
 * Float products are one call, dnnl_sgemm. bf16 ones are "primitives": compiled for one shape, which costs far more than it
 * takes to multiply, and kept in a list for the whole process, like the library's own code cache behind it. A training run has
 * a few dozen shapes. Each is made for one thread, from wherever it is first wanted, so that it cannot depend on how many there are.
 */
#include "gemm_onednn.h"

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
    } levels[] = {{dnnl_cpu_isa_avx512_core_bf16, ONEDNN_BF16},
                  {dnnl_cpu_isa_avx512_core, ONEDNN_AVX512},
                  {dnnl_cpu_isa_avx2, ONEDNN_AVX2}};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if ((isa & levels[i].bits) == levels[i].bits)
            return levels[i].means;
    return ONEDNN_OLD;
}

int onednn_sgemm(bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, float alpha, const float *A, size_t lda,
                 const float *B, size_t ldb, float beta, float *C, size_t ldc)
{
    return dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', (dnnl_dim_t)M, (dnnl_dim_t)N, (dnnl_dim_t)K, alpha, A,
                      (dnnl_dim_t)lda, B, (dnnl_dim_t)ldb, beta, C, (dnnl_dim_t)ldc) == dnnl_success
               ? 0
               : -1;
}

struct shape {
    dnnl_dim_t M, N, K;
    bool transpose_a, transpose_b, add, bf16;
};

#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t layout;
#define LAYOUT(l) (l)
#else
typedef dnnl_memory_desc_t layout;
#define LAYOUT(l) (&(l))
#endif

/* rows x columns without gaps; transposed: what lies in memory is columns x rows. */
static dnnl_status_t describe(layout *l, dnnl_dim_t rows, dnnl_dim_t columns, bool transposed, dnnl_data_type_t type)
{
    const dnnl_dims_t sizes = {rows, columns}, strides = {transposed ? 1 : columns, transposed ? rows : 1};
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_with_strides(l, 2, sizes, type, strides);
#else
    return dnnl_memory_desc_init_by_strides(l, 2, sizes, type, strides);
#endif
}

/* The three operands of a shape: A, B, C. */
static dnnl_status_t describe_all(layout l[3], const struct shape *s)
{
    const dnnl_data_type_t operands = s->bf16 ? dnnl_bf16 : dnnl_f32;
    dnnl_status_t status = describe(&l[0], s->M, s->K, s->transpose_a, operands);
    if (status == dnnl_success)
        status = describe(&l[1], s->K, s->N, s->transpose_b, operands);
    if (status == dnnl_success)
        status = describe(&l[2], s->M, s->N, false, dnnl_f32);
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

static dnnl_status_t compile_with(dnnl_primitive_t *out, layout l[3], const_dnnl_primitive_attr_t how, dnnl_engine_t cpu)
{
    dnnl_primitive_desc_t described = NULL;
#if DNNL_VERSION_MAJOR >= 3
    dnnl_status_t status = dnnl_matmul_primitive_desc_create(&described, cpu, l[0], l[1], NULL, l[2], how);
#else
    dnnl_matmul_desc_t product;
    dnnl_status_t status = dnnl_matmul_desc_init(&product, &l[0], &l[1], NULL, &l[2]);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(&described, &product, how, cpu, NULL);
#endif
    if (status == dnnl_success)
        status = dnnl_primitive_create(out, described);
    if (described)
        dnnl_primitive_desc_destroy(described);
    return status;
}

/* Compiles the product of a shape, for one thread; NULL where it cannot. */
static dnnl_primitive_t compile(const struct shape *s, dnnl_engine_t cpu)
{
    layout l[3] = {0};
    dnnl_primitive_attr_t how = NULL;
    dnnl_post_ops_t after = NULL;
    dnnl_primitive_t made = NULL;
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1); /* of this task alone */
    if (describe_all(l, s) == dnnl_success && dnnl_primitive_attr_create(&how) == dnnl_success &&
        dnnl_post_ops_create(&after) == dnnl_success && (!s->add || dnnl_post_ops_append_sum(after, 1) == dnnl_success) &&
        dnnl_primitive_attr_set_post_ops(how, after) == dnnl_success && compile_with(&made, l, how, cpu) != dnnl_success)
        made = NULL;
    omp_set_num_threads(threads);
    if (after)
        dnnl_post_ops_destroy(after);
    if (how)
        dnnl_primitive_attr_destroy(how);
    forget_all(l);
    return made;
}

enum { SHAPES = 512 };

static struct {
    pthread_mutex_t adding;
    atomic_size_t count;
    dnnl_engine_t cpu;
    struct {
        struct shape shape;
        dnnl_primitive_t code; /* NULL: this shape cannot be had */
    } list[SHAPES];
} compiled = {.adding = PTHREAD_MUTEX_INITIALIZER};

static bool same_shape(const struct shape *a, const struct shape *b)
{
    return a->M == b->M && a->N == b->N && a->K == b->K && a->transpose_a == b->transpose_a && a->transpose_b == b->transpose_b &&
           a->add == b->add && a->bf16 == b->bf16;
}

/* The index of a shape among the first n, or n. */
static size_t find(const struct shape *s, size_t n)
{
    size_t i = 0;
    while (i < n && !same_shape(&compiled.list[i].shape, s))
        i++;
    return i;
}

/* Entries are added under the lock and never change, so looking one up needs none. */
static dnnl_primitive_t code_for(const struct shape *s)
{
    size_t n = atomic_load_explicit(&compiled.count, memory_order_acquire), i = find(s, n);
    if (i < n)
        return compiled.list[i].code;
    dnnl_primitive_t code = NULL;
    pthread_mutex_lock(&compiled.adding);
    n = atomic_load(&compiled.count);
    i = find(s, n);
    if (i < n) {
        code = compiled.list[i].code;
    } else if (n < SHAPES && (compiled.cpu || dnnl_engine_create(&compiled.cpu, dnnl_cpu, 0) == dnnl_success)) {
        code = compile(s, compiled.cpu);
        compiled.list[n].shape = *s;
        compiled.list[n].code = code;
        atomic_store_explicit(&compiled.count, n + 1, memory_order_release);
    }
    pthread_mutex_unlock(&compiled.adding);
    return code;
}

static dnnl_status_t run(dnnl_primitive_t code, const struct shape *s, const void *A, const void *B, float *C)
{
    static const int roles[3] = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
    void *const data[3] = {(void *)A, (void *)B, C};
    layout l[3] = {0};
    dnnl_exec_arg_t arguments[3] = {0};
    dnnl_stream_t stream = NULL;
    dnnl_status_t status = describe_all(l, s);
    for (int i = 0; i < 3 && status == dnnl_success; i++) {
        arguments[i].arg = roles[i];
        status = dnnl_memory_create(&arguments[i].memory, LAYOUT(l[i]), compiled.cpu, data[i]);
    }
    if (status == dnnl_success)
        status = dnnl_stream_create(&stream, compiled.cpu, dnnl_stream_default_flags);
    if (status == dnnl_success)
        status = dnnl_primitive_execute(code, stream, 3, arguments);
    if (stream)
        dnnl_stream_destroy(stream);
    for (int i = 0; i < 3; i++)
        if (arguments[i].memory)
            dnnl_memory_destroy(arguments[i].memory);
    forget_all(l);
    return status;
}

int onednn_product(bool bf16, bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, const void *A, const void *B,
                   float *C, bool add)
{
    const struct shape s = {(dnnl_dim_t)M, (dnnl_dim_t)N, (dnnl_dim_t)K, transpose_a, transpose_b, add, bf16};
    const dnnl_primitive_t code = code_for(&s);
    return code && run(code, &s, A, B, C) == dnnl_success ? 0 : -1;
}

#else

enum onednn_isa onednn_isa(void)
{
    return ONEDNN_ABSENT;
}

int onednn_sgemm(bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, float alpha, const float *A, size_t lda,
                 const float *B, size_t ldb, float beta, float *C, size_t ldc)
{
    (void)transpose_a, (void)transpose_b, (void)M, (void)N, (void)K, (void)alpha, (void)A, (void)lda, (void)B, (void)ldb;
    (void)beta, (void)C, (void)ldc;
    return -1;
}

int onednn_product(bool bf16, bool transpose_a, bool transpose_b, size_t M, size_t N, size_t K, const void *A, const void *B,
                   float *C, bool add)
{
    (void)bf16, (void)transpose_a, (void)transpose_b, (void)M, (void)N, (void)K, (void)A, (void)B, (void)C, (void)add;
    return -1;
}

#endif
