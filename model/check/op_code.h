/* op_code.h: every operation's forward and backward under one signature, for each build.
 *
 * A function is kept with the type it has in its own header, as a plain pointer, and called through a caller that knows how that
 * operation's arguments come from an array of tensors (in the order of op_info). So another function with the same natural
 * signature (a planted mistake, one from a shared object) takes an operation's place without a wrapper.
 */
#ifndef OP_CODE_H
#define OP_CODE_H

#include "model/check/ops.h"
#include "model/dropout.h"

typedef void op_function(void); /* any function; its caller casts it back to its own type */

/* x: the tensors, NULL where absent. dx: the gradients of inputs and parameters, that a backward adds into, and of outputs. */
struct op_code {
    op_function *forward, *backward;
    void (*call_forward)(op_function *f, void *const *x, const struct op_case *c);
    void (*call_backward)(op_function *f, void *const *dx, void *const *x, const struct op_case *c);
};

/* The whole model behind a door that does not depend on the number type. Losses come as real and imaginary part. */
struct model_code {
    void *(*create)(const struct model_config *config,
                    size_t max_rows); /* NULL where memory is short */
    void (*destroy)(void *model);
    const struct tensors *(*tensors)(void *model);
    void *(*params)(void *model);
    void *(*grads)(void *model);
    void (*documents)(void *model,
                      const uint32_t *start); /* of the passes from here on; NULL for none */
    void (*logits)(void *out, void *model, const uint32_t *ids, size_t B,
                   size_t T); /* out (B,T,V), of the build's type */
    void (*loss)(double out[2], void *model, const uint32_t *ids, const uint32_t *targets, size_t B,
                 size_t T, const struct dropout *d);
    op_function *loss_and_grads; /* gpt_loss_and_grads */
    void (*call_loss_and_grads)(op_function *f, double out[2], void *model, const uint32_t *ids,
                                const uint32_t *targets, size_t B, size_t T, double scale,
                                const struct dropout *d);
};

enum number { NUMBER_F32, NUMBER_F64, NUMBER_C128, NUMBER_BF16, NUMBERS };

extern const struct op_code optable_f32[OPS], optable_f64[OPS], optable_c128[OPS],
    optable_bf16[OPS];

/* The callers of a block with the signature of include/handgrad_op.h, for functions from outside. */
extern const struct op_code block_flat_f32, block_flat_f64, block_flat_c128;

extern const struct model_code model_code_f32, model_code_f64, model_code_c128, model_code_bf16;

#endif
