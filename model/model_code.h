/* model_code.h: the functions of each build of the model behind one interface that does not depend
 * on the number type, for code that chooses a build at run time: training in float or bf16, the
 * gradient checker, gradient files. */
#ifndef MODEL_CODE_H
#define MODEL_CODE_H

#include "base/batch.h"
#include "model/dropout.h"
#include "model/tensors.h"
#include <stdbool.h>
#include <stddef.h>

/* model is a struct gpt of the build; arrays are of its number type. See gpt.h and causal_probe.h.
 * Losses come as real and imaginary part. */
struct model_code {
    void *(*create)(const struct model_config *config, size_t max_rows); /* NULL: no memory */
    void (*destroy)(void *model);
    const struct tensors *(*tensors)(const void *model);
    void *(*params)(void *model);
    void *(*grads)(void *model);
    void (*logits)(void *model, void *logits, const struct batch *batch);
    void (*loss)(double loss[2], void *model, const struct batch *batch, const struct dropout *d);
    void (*loss_and_grads)(double loss[2], void *model, const struct batch *batch,
                           const struct dropout *d);
    int (*causal_probe)(void *model, bool documents, char *message, size_t size);
};

extern const struct model_code model_code_f32, model_code_bf16, model_code_f64, model_code_c128;

#endif
