/* nonfinite.c: see nonfinite.h. Checking every number in every pass would cost memory traffic.
 * Since passes are deterministic, only one that failed is run again, with a hook that checks. */
#include "train/nonfinite.h"
#include "base/text_append.h"
#include "model/zero.h"
#include <stdio.h>
#include <string.h>

struct search {
    struct gpt_hook hook; /* first, so that a pointer to it is one to the search */
    struct gpt_hook *previous;
    size_t rows;
    char *text;
    size_t size;
};

double unsigned_nan(double x)
{
    return isnan(x) ? NAN : x;
}

static const char forward[] = "forward, ", gradient[] = "backward, gradient of ";

/* Checks x (n, width), unless a number was found before or x is NULL. */
static void check(struct search *s, const real *x, size_t n, size_t width, const char *pass,
                  const char *name, const char *operation)
{
    for (size_t i = 0; x && i < n * width && !*s->text; i++)
        if (!isfinite(x[i]))
            snprintf(s->text, s->size, "%s%s (%s): %f at row %zu, column %zu", pass, name,
                     operation, unsigned_nan(x[i]), i / width, i % width);
}

static void check_gradient(struct search *s, const struct gpt *g, enum tensor_kind kind,
                           size_t layer, const char *operation)
{
    const struct tensor *t = tensors_find(g->tensors, kind, layer);
    if (t)
        check(s, g->grads + t->offset, t->shape[0], t->shape[1], gradient, t->name, operation);
}

/* The table of a block's parts as a list: each part is followed by its parameters and
 * activations. */
static const struct entry {
    const char *part, *forward, *backward; /* NULL except at the beginning of a part */
    const char *shape;                     /* of an activation, else NULL */
    size_t offset;                         /* of an activation in struct block_activations */
    enum tensor_kind kind;                 /* of a parameter */
} entries[] = {
#define PART(name, OP, op) {name, #op "_forward", #op "_backward", NULL, 0, WTE},
#define SUBPART(name, op)  PART(name, , op)
#define ACTIVATION(name, shape)                                                                    \
    {NULL, NULL, NULL, shape, offsetof(struct block_activations, name), WTE},
#define PARAMETER(kind, name, shape, init) {NULL, NULL, NULL, NULL, 0, kind},
#define BIAS(kind, name, shape)            PARAMETER(kind, name, shape, )
#include "model/block_parts.def"
};
enum { ENTRIES = sizeof entries / sizeof *entries };

static const real *activation(const struct gpt *g, size_t layer, const struct entry *e)
{
    return *(real *const *)((const char *)&g->blocks[layer] + e->offset);
}

/* Whether a later activation of the block has the same memory. */
static bool is_overwritten(const struct gpt *g, size_t layer, size_t i)
{
    for (size_t k = i + 1; k < ENTRIES; k++)
        if (entries[k].shape &&
            activation(g, layer, &entries[k]) == activation(g, layer, &entries[i]))
            return true;
    return false;
}

/* Checks the activations of a block in the order of its forward. A part that stores none, such as a
 * projection into the residual stream, is named together with the next one. */
static void check_block(struct search *s, const struct gpt *g, size_t layer)
{
    char name[64] = "", operations[64] = "";
    bool stored = true; /* by the current part */
    for (size_t i = 0; i < ENTRIES; i++) {
        const struct entry *e = &entries[i];
        if (e->part && stored) {
            snprintf(name, sizeof name, "h.%zu.%s", layer, e->part);
            snprintf(operations, sizeof operations, "%s", e->forward);
            stored = false;
        } else if (e->part)
            text_append(operations, sizeof operations, ", %s", e->forward);
        else if (e->shape) {
            const size_t width =
                strlen(e->shape) > 1 ? model_dim(&g->tensors->config, e->shape[2]) : 1;
            if (!is_overwritten(g, layer, i))
                check(s, activation(g, layer, e), s->rows, width, forward, name, operations);
            stored = true;
        }
    }
}

/* Checks the gradients of a block's parameters in the order of its backward. */
static void check_block_gradients(struct search *s, const struct gpt *g, size_t layer)
{
    char name[64];
    for (size_t i = ENTRIES; i-- > 0;)
        for (size_t k = i + 1; entries[i].part && k < ENTRIES && !entries[k].part; k++)
            if (entries[k].kind != WTE)
                check_gradient(s, g, entries[k].kind, layer, entries[i].backward);
    snprintf(name, sizeof name, "the input of h.%zu", layer);
    check(s, g->dstream, s->rows, g->tensors->config.n_embd, gradient, name, "layernorm_backward");
}

static void visit(struct gpt_hook *hook, struct gpt *g, enum gpt_stage stage, size_t layer)
{
    struct search *s = (struct search *)hook;
    const size_t C = g->tensors->config.n_embd;
    if (s->previous)
        s->previous->visit(s->previous, g, stage, layer);
    switch (stage) {
    case STAGE_EMBEDDING:
        check(s, g->embedded, s->rows, C, forward, "wte + wpe", "embedding_forward");
        break;
    case STAGE_BLOCK:
        check_block(s, g, layer);
        break;
    case STAGE_LN_F:
        check(s, g->ln_f, s->rows, C, forward, "ln_f", "layernorm_forward");
        break;
    case STAGE_LOSS:
        check(s, g->losses, s->rows, 1, forward, "loss", "loss_forward");
        check(s, g->dln_f, s->rows, C, gradient, "ln_f's output", "loss_backward");
        check_gradient(s, g, WTE, 0, "loss_backward");
        break;
    case STAGE_LN_F_BACKWARD:
        check_gradient(s, g, LN_F_WEIGHT, 0, "layernorm_backward");
        check_gradient(s, g, LN_F_BIAS, 0, "layernorm_backward");
        check(s, g->dstream, s->rows, C, gradient, "ln_f's input", "layernorm_backward");
        break;
    case STAGE_BLOCK_BACKWARD:
        check_block_gradients(s, g, layer);
        break;
    case STAGE_EMBEDDING_BACKWARD:
        check_gradient(s, g, WTE, 0, "embedding_backward");
        check_gradient(s, g, WPE, 0, "embedding_backward");
    }
}

void nonfinite_find(struct gpt *g, const struct model_code *code, const struct batch *batch,
                    const struct dropout *d, char *text, size_t size)
{
    *text = 0;
    struct search s = {.hook = {visit},
                       .previous = g->hook,
                       .rows = batch->rows * batch->block_size,
                       .text = text,
                       .size = size};
    for (size_t i = 0; i < g->tensors->count; i++) {
        const struct tensor *t = &g->tensors->list[i];
        check(&s, g->params + t->offset, t->shape[0], t->shape[1], "before the pass, ", t->name,
              "parameter");
    }
    zero(g->grads, g->tensors->total);
    g->hook = &s.hook;
    double loss[2];
    code->loss_and_grads(loss, g, batch, d);
    g->hook = s.previous;
}
