/* gpt.h: the whole model: GPT-2's forward, loss and backward over arrays it owns. */
#ifndef GPT_H
#define GPT_H

#include "base/arena.h"
#include "model/block.h"
#include "model/dropout.h"
#include "model/hook.h"
#include "model/real.h"
#include "model/tensors.h"

#define gpt                TYPE(gpt)
#define gpt_create         NAME(gpt_create)
#define gpt_destroy        NAME(gpt_destroy)
#define gpt_bytes          NAME(gpt_bytes)
#define gpt_init           NAME(gpt_init)
#define gpt_logits         NAME(gpt_logits)
#define gpt_loss           NAME(gpt_loss)
#define gpt_loss_and_grads NAME(gpt_loss_and_grads)
#define gpt_backward       NAME(gpt_backward)

/* What a model is for, and what its backward computes again instead of finding it in memory: GPT_TRAIN nothing but LayerNorms' outputs,
 * RECOMPUTE_GELU the MLP's hidden activations besides, RECOMPUTE_BLOCK all of a block but its input (Chen et al. 2016,
 * arXiv:1604.06174). Gradients are the same to the bit. */
enum gpt_use { GPT_INFER, GPT_TRAIN, GPT_TRAIN_RECOMPUTE_GELU, GPT_TRAIN_RECOMPUTE_BLOCK };

struct gpt {
    struct tensors *tensors; /* the table that params and grads are laid out by */
    enum gpt_use use;
    struct arena arena;   /* everything below lies in it */
    size_t max_rows;      /* tokens of the largest batch, B T */
    real *params, *grads; /* (tensors->total); grads NULL for GPT_INFER */
    real *(*w)[TENSOR_KINDS],
        *(*dw)
            [TENSOR_KINDS]; /* (n_layer): views into them; kinds outside the blocks stand in every layer */
    struct block_activations
        *blocks; /* (n_layer); arrays that are not kept are shared by all layers */
    struct block_scratch scratch;
    real *embedded, *ln_f, *ln_f_mean, *ln_f_rstd; /* (N,C), (N,C), (N), (N) */
    real *losses, *logits; /* (N), (loss_chunk, padded): shares scratch.wide's memory */
    real *dlosses, *dstream,
        *dln_f; /* (N), (N,C), (N,C), the latter scratch.narrow: not for GPT_INFER */
    const uint32_t
        *start; /* (B,T), the caller's: of the next batches, as attention.h has it; or NULL */
    struct gpt_hook *hook; /* NULL: nobody looks */
};

/* Allocates a model for batches of at most max_rows tokens in all, parameters zero. Takes over the table. 0, or -1 where memory
 * is short (nothing is left allocated, the table is freed). */
int gpt_create(struct gpt *g, struct tensors *tensors, size_t max_rows, enum gpt_use use);
void gpt_destroy(struct gpt *g);
/* The bytes of such a model. */
size_t gpt_bytes(struct tensors *tensors, size_t max_rows, enum gpt_use use);

/* Initial weights of GPT-2: normal with the table's standard deviations, each a function of (seed, tensor, element) alone. */
void gpt_init(struct gpt *g, uint64_t seed);

/* logits (B,T,V) for inputs (B,T), T <= block_size, without dropout. */
void gpt_logits(struct gpt *g, real *logits, const uint32_t *inputs, size_t B, size_t T);

/* Mean cross-entropy in nats per token over targets (B,T), those that are not NO_TARGET (loss.h; 0 where none is); g->losses holds
 * each token's. g->start keeps attention inside documents; positions are those of the row all the same. d is NULL for evaluation. */
acc gpt_loss(struct gpt *g, const uint32_t *inputs, const uint32_t *targets, size_t B, size_t T,
             const struct dropout *d);

/* The same, and adds into g->grads the gradient of scale times that mean: scale is 1, or the batch's share of the targets of a
 * step, 1 / accumulate where every token has one. */
acc gpt_loss_and_grads(struct gpt *g, const uint32_t *inputs, const uint32_t *targets, size_t B,
                       size_t T, double scale, const struct dropout *d);

/* What gpt_loss_and_grads is made of: a forward, and a backward for the upstream gradients in g->dlosses (B T), one for each
 * token's loss. Without dropout, g->dstream is the gradient of the embedded tokens afterwards. */
void gpt_backward(struct gpt *g, const uint32_t *inputs, const uint32_t *targets, size_t B,
                  size_t T, const struct dropout *d);

#endif
