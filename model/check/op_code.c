/* op_code.c: the callers of the operations, generated from ops.def. Each takes its arguments from
 * the array of tensors by name. */
#include "model/check/op_code.h"
#include "model/block.h"
#include "model/real.h"
#define OP_HEADERS
#include "model/check/ops.def"

/* What the argument lists in ops.def refer to. */
#define LOCALS                                                                                     \
    const size_t B = c->B, T = c->T, N = B * T, C = c->C, H = c->H, O = c->O, V = c->V, P = c->P;  \
    const size_t F = op_dim(c, 'F');                                                               \
    const uint32_t *ids = c->ids, *targets = c->targets, *start = c->start;                        \
    const struct dropout drop = dropout_of(c), *d = &drop, *d_or_null = c->p > 0 ? d : NULL;       \
    (void)B, (void)T, (void)N, (void)C, (void)H, (void)O, (void)V, (void)P, (void)F;               \
    (void)ids, (void)targets, (void)start, (void)d, (void)d_or_null;
#define SITE(site) (4 * OP_LAYER + (site))

static struct dropout dropout_of(const struct op_case *c)
{
    return (struct dropout){
        .p = c->p, .seed = OP_DROPOUT_SEED, .step = OP_DROPOUT_STEP, .first_row = c->first_row};
}

/* Variables for the next tensor and its gradient. */
#define TENSOR(name)                                                                               \
    real *const name = *values++;                                                                  \
    (void)name;
#define TENSOR_AND_GRADIENT(name)                                                                  \
    real *const d##name = gradients ? *gradients++ : NULL;                                         \
    (void)d##name;                                                                                 \
    TENSOR(name)
#define NO_GRADIENT(name)                                                                          \
    if (gradients)                                                                                 \
        gradients++;                                                                               \
    TENSOR(name)
#define OUTPUT(name, shape)  TENSOR_AND_GRADIENT(name)
#define INPUT(name, shape)   TENSOR_AND_GRADIENT(name)
#define PARAM(name, shape)   TENSOR_AND_GRADIENT(name)
#define GAIN(name, shape)    TENSOR_AND_GRADIENT(name)
#define BIAS(name, shape)    TENSOR_AND_GRADIENT(name)
#define SAVED(name, shape)   NO_GRADIENT(name)
#define SCRATCH(name, shape) NO_GRADIENT(name)

#define OP(ID, name, function, tensors, forward_arguments, backward_arguments, ...)                \
    static void call_##name##_forward(op_function *f, void *const *values,                         \
                                      const struct op_case *c)                                     \
    {                                                                                              \
        void *const *gradients = NULL;                                                             \
        LOCALS tensors((typeof(function##_forward) *)f) forward_arguments;                         \
    }                                                                                              \
    static void call_##name##_backward(op_function *f, void *const *gradients,                     \
                                       void *const *values, const struct op_case *c)               \
    {                                                                                              \
        LOCALS tensors((typeof(function##_backward) *)f) backward_arguments;                       \
    }
#include "model/check/ops.def"
#undef OP
#undef BIAS

/* --- the block, which takes structs --- */

struct block_arguments {
    struct block_activations a;
    struct block_scratch s;
    real *x, *w[TENSOR_KINDS], *out;
};

/* Sorts the tensors, or their gradients, into structs, in the order of ops.c. */
static struct block_arguments block_arguments(void *const *x)
{
    struct block_arguments b = {.x = *x++};
#define PARAMETER(kind, name, shape, init) b.w[kind] = *x++;
#define BIAS(kind, name, shape)            b.w[kind] = *x++;
#define ACTIVATION(name, shape)            b.a.name = *x++;
#include "model/block_parts.def"
    b.out = b.a.out;
    b.s.branch = *x++;
    b.s.dproj = *x++;
    b.s.dact = *x++;
    b.s.dnorm = *x++;
    return b;
}

static void call_block_forward(op_function *f, void *const *x, const struct op_case *c)
{
    struct block_arguments b = block_arguments(x);
    const struct model_config config = op_config(c);
    const struct dropout d = dropout_of(c);
    ((typeof(block_forward) *)f)(&b.a, &b.s, b.x, c->start, b.w, c->B, c->T, &config, &d, OP_LAYER);
}

/* block_backward turns the gradient of its output into that of its input. Here, as for all
 * operations, the one is kept and the other is added. */
static void call_block_backward(op_function *f, void *const *dx, void *const *x,
                                const struct op_case *c)
{
    const struct block_arguments b = block_arguments(x), db = block_arguments(dx);
    const struct model_config config = op_config(c);
    const struct dropout d = dropout_of(c);
    const size_t n = c->B * c->T * c->C;
    real stream[n];
    for (size_t i = 0; i < n; i++)
        stream[i] = db.out[i];
    ((typeof(block_backward) *)f)(stream, db.w, &b.s, &b.a, b.x, c->start, b.w, c->B, c->T, &config,
                                  &d, OP_LAYER);
    for (size_t i = 0; i < n; i++)
        db.x[i] += stream[i];
}

/* --- the tables --- */

/* Declares PREFIX_FUNCTION_forward and _backward, with the types of FUNCTION_forward and
 * _backward. */
#define DECLARE(prefix, function)                                                                  \
    extern typeof(function##_forward) NAME(prefix##_##function##_forward);                         \
    extern typeof(function##_backward) NAME(prefix##_##function##_backward);
#define ENTRY(ID, name, forward, backward)                                                         \
    [OP_##ID] = {(op_function *)forward, (op_function *)backward, call_##name##_forward,           \
                 call_##name##_backward},

const struct op_code NAME(op_code)[OPS] = {
#define OP(ID, name, function, ...) ENTRY(ID, name, function##_forward, function##_backward)
#include "model/check/ops.def"
    OP(BLOCK, block, block)
#undef OP
};

#ifdef REAL_F64
#define OP(ID, name, function, ...) DECLARE(plain, function)
#include "model/check/ops.def"
OP(BLOCK, block, block)
#undef OP

const struct op_code NAME(plain_code)[OPS] = {
#define OP(ID, name, function, ...)                                                                \
    ENTRY(ID, name, NAME(plain_##function##_forward), NAME(plain_##function##_backward))
#include "model/check/ops.def"
    OP(BLOCK, block, block)
#undef OP
};
#endif

#ifndef REAL_BF16
#define OP(ID, name, function, ...) DECLARE(mistaken, function)
#include "model/check/ops.def"
OP(BLOCK, block, block)
#undef OP

const struct op_code NAME(mistaken_code)[OPS] = {
#define OP(ID, name, function, ...)                                                                \
    ENTRY(ID, name, NAME(mistaken_##function##_forward), NAME(mistaken_##function##_backward))
#include "model/check/ops.def"
    OP(BLOCK, block, block)
#undef OP
};
#endif
