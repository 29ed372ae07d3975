/* nonfinite.c: see nonfinite.h. A pass does not look at its numbers, which would cost memory traffic in every step; the one that
 * went wrong is deterministic, so it is run again with somebody who looks (model/watch.h). */
#include "train/nonfinite.h"
#include "model/zero.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

struct search {
    struct gpt_hook hook;
    struct gpt_hook *before; /* who watched before: a test that makes it go wrong */
    size_t rows;
    char *text;
    size_t size;
    bool found;
};

/* What a block's forward writes, in its order. */
static const struct {
    const char *name, *operation;
    size_t offset; /* in struct block_activations */
    size_t width;  /* in units of C; 0: one number a row */
} activations[] = {
    {"ln_1", "layernorm_forward", offsetof(struct block_activations, ln_1_rstd),
     0}, /* ln_2 overwrites ln_1 */
    {"attn.c_attn", "linear_forward", offsetof(struct block_activations, qkv), 3},
    {"attn", "attention_forward", offsetof(struct block_activations, att), 1},
    {"attn.c_proj", "linear_forward, residual_forward", offsetof(struct block_activations, mid), 1},
    {"ln_2", "layernorm_forward", offsetof(struct block_activations, ln_2), 1},
    {"mlp.c_fc", "linear_forward", offsetof(struct block_activations, fc), 4},
    {"mlp.gelu", "gelu_forward", offsetof(struct block_activations, act), 4},
    {"mlp.c_proj", "linear_forward, residual_forward", offsetof(struct block_activations, out), 1},
};

/* The parameters' gradients that a block's backward adds into, in its order. */
static const struct {
    enum tensor_kind kind;
    const char *operation;
} gradients[] = {
    {MLP_C_PROJ_WEIGHT, "linear_backward"},  {MLP_C_PROJ_BIAS, "linear_backward"},
    {C_FC_WEIGHT, "linear_backward"},        {C_FC_BIAS, "linear_backward"},
    {LN_2_WEIGHT, "layernorm_backward"},     {LN_2_BIAS, "layernorm_backward"},
    {ATTN_C_PROJ_WEIGHT, "linear_backward"}, {ATTN_C_PROJ_BIAS, "linear_backward"},
    {C_ATTN_WEIGHT, "linear_backward"},      {C_ATTN_BIAS, "linear_backward"},
    {LN_1_WEIGHT, "layernorm_backward"},     {LN_1_BIAS, "layernorm_backward"},
};

double unsigned_nan(double x)
{
    return isnan(x) ? (double)NAN : x;
}

/* Looks at x (n, width), unless something was found before or there is no such array. */
static void look(struct search *s, const real *x, size_t n, size_t width, const char *pass,
                 const char *name, const char *operation)
{
    for (size_t i = 0; x && i < n * width && !s->found; i++)
        if (!isfinite(x[i])) {
            s->found = true;
            snprintf(s->text, s->size, "%s%s (%s): %f at row %zu, column %zu", pass, name,
                     operation, unsigned_nan(x[i]), i / width, i % width);
        }
}

static void look_at_tensor(struct search *s, const struct gpt *g, const real *array,
                           enum tensor_kind kind, size_t layer, const char *pass,
                           const char *operation)
{
    const struct tensor *t = tensors_find(g->tensors, kind, layer);
    if (t && array)
        look(s, array + t->offset, t->shape[0], t->shape[1], pass, t->name, operation);
}

static void look_at_block(struct search *s, const struct gpt *g, size_t layer)
{
    char name[64];
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        const real *x = *(real *const *)((const char *)&g->blocks[layer] + activations[i].offset);
        snprintf(name, sizeof name, "h.%zu.%s", layer, activations[i].name);
        const size_t width =
            activations[i].width ? activations[i].width * g->tensors->config.n_embd : 1;
        look(s, x, s->rows, width, "forward, ", name, activations[i].operation);
    }
}

static void look_at_block_gradients(struct search *s, const struct gpt *g, size_t layer)
{
    char name[64];
    for (size_t i = 0; i < sizeof gradients / sizeof *gradients; i++)
        look_at_tensor(s, g, g->grads, gradients[i].kind, layer, "backward, gradient of ",
                       gradients[i].operation);
    snprintf(name, sizeof name, "the input of h.%zu", layer);
    look(s, g->dstream, s->rows, g->tensors->config.n_embd, "backward, gradient of ", name,
         "layernorm_backward");
}

static void visit(struct gpt_hook *hook, struct gpt *g, enum gpt_part part, size_t layer)
{
    struct search *s = (struct search *)hook; /* its first member */
    const size_t C = g->tensors->config.n_embd;
    static const char *const of = "backward, gradient of ";
    if (s->before)
        s->before->visit(s->before, g, part, layer);
    switch (part) {
    case PART_EMBEDDING:
        look(s, g->embedded, s->rows, C, "forward, ", "wte + wpe", "embedding_forward");
        break;
    case PART_BLOCK:
        look_at_block(s, g, layer);
        break;
    case PART_LN_F:
        look(s, g->ln_f, s->rows, C, "forward, ", "ln_f", "layernorm_forward");
        break;
    case PART_LOSS:
        look(s, g->losses, s->rows, 1, "forward, ", "loss", "loss_forward");
        look(s, g->dln_f, s->rows, C, of, "ln_f's output", "loss_backward");
        look_at_tensor(s, g, g->grads, WTE, 0, of, "loss_backward");
        break;
    case PART_LN_F_BACKWARD:
        look_at_tensor(s, g, g->grads, LN_F_WEIGHT, 0, of, "layernorm_backward");
        look_at_tensor(s, g, g->grads, LN_F_BIAS, 0, of, "layernorm_backward");
        look(s, g->dstream, s->rows, C, of, "ln_f's input", "layernorm_backward");
        break;
    case PART_BLOCK_BACKWARD:
        look_at_block_gradients(s, g, layer);
        break;
    case PART_EMBEDDING_BACKWARD:
        look_at_tensor(s, g, g->grads, WTE, 0, of, "embedding_backward");
        look_at_tensor(s, g, g->grads, WPE, 0, of, "embedding_backward");
    }
}

bool nonfinite_find(struct gpt *g, const struct passes *passes, const uint32_t *inputs,
                    const uint32_t *targets, size_t B, size_t T, double scale,
                    const struct dropout *d, char *text, size_t size)
{
    struct search s = {{visit}, g->hook, B * T, text, size, false};
    for (size_t i = 0; i < g->tensors->count; i++) {
        const struct tensor *t = &g->tensors->list[i];
        look(&s, g->params + t->offset, t->shape[0], t->shape[1], "before the pass, ", t->name,
             "parameter");
    }
    zero(g->grads, g->tensors->total);
    g->hook = &s.hook;
    passes->loss_and_grads(g, inputs, targets, B, T, scale, d);
    g->hook = s.before;
    return s.found;
}
