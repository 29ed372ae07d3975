/* gpt.h: the whole model: forward, loss and backward over arrays that it owns. */
#ifndef GPT_H
#define GPT_H

#include "base/arena.h"
#include "base/batch.h"
#include "model/block.h"
#include "model/dropout.h"
#include "model/real.h"
#include "model/tensors.h"

#define gpt                TYPE(gpt)
#define gpt_hook           TYPE(gpt_hook)
#define gpt_create         NAME(gpt_create)
#define gpt_destroy        NAME(gpt_destroy)
#define gpt_bytes          NAME(gpt_bytes)
#define gpt_init           NAME(gpt_init)
#define gpt_logits         NAME(gpt_logits)
#define gpt_loss           NAME(gpt_loss)
#define gpt_loss_and_grads NAME(gpt_loss_and_grads)
#define gpt_backward       NAME(gpt_backward)

/* What a model is for and, in training, what its backward recomputes instead of keeping it in
 * memory: GPT_TRAIN only the outputs of LayerNorms, RECOMPUTE_GELU also the MLP's hidden
 * activations, RECOMPUTE_BLOCK everything in a block but its input (Chen et al. 2016,
 * arXiv:1604.06174). Gradients have the same bits in all three. */
enum gpt_use { GPT_INFER, GPT_TRAIN, GPT_TRAIN_RECOMPUTE_GELU, GPT_TRAIN_RECOMPUTE_BLOCK };

/* The stages of a forward and a backward, in the order in which they end, and what each has
 * written. */
enum gpt_stage {
    STAGE_EMBEDDING, /* g->embedded */
    STAGE_BLOCK,     /* g->blocks[layer] */
    STAGE_LN_F,      /* g->ln_f */
    STAGE_LOSS,      /* g->losses; in a backward also g->dln_f and the gradient of wte */
    STAGE_LN_F_BACKWARD,
    STAGE_BLOCK_BACKWARD, /* g->dw[layer], g->dstream */
    STAGE_EMBEDDING_BACKWARD
};

/* A function that is called at the end of every stage, to inspect what the stage wrote. layer is 0
 * outside the blocks. */
struct gpt;
struct gpt_hook {
    void (*visit)(struct gpt_hook *hook, struct gpt *g, enum gpt_stage stage, size_t layer);
};

struct gpt {
    struct tensors *tensors; /* layout of params and grads */
    enum gpt_use use;
    struct arena arena;        /* holds all arrays below */
    size_t max_rows;           /* tokens of the largest batch, B T */
    real *params, *grads;      /* (tensors->total); grads is NULL for GPT_INFER */
    real *(*w)[TENSOR_KINDS];  /* (n_layer): pointers into params by kind; those of kinds outside
                                     the blocks are repeated in every layer */
    real *(*dw)[TENSOR_KINDS]; /* the same for grads */
    struct block_activations *blocks; /* (n_layer) */
    struct block_scratch scratch;
    real *embedded, *ln_f, *ln_f_mean, *ln_f_rstd; /* (N,C), (N,C), (N), (N) */
    real *losses, *logits;           /* (N), (loss_chunk,P); logits share scratch.dproj's memory */
    real *dlosses, *dstream, *dln_f; /* (N), (N,C), (N,C): training only; dln_f is scratch.dnorm */
    struct gpt_hook *hook;           /* or NULL */
};

/* Allocates a model for batches of at most max_rows tokens, with all parameters zero, and takes
 * ownership of the table. Returns -1 if memory is short; then the table has been freed. */
int gpt_create(struct gpt *g, struct tensors *tensors, size_t max_rows, enum gpt_use use);
void gpt_destroy(struct gpt *g);
/* The bytes that such a model needs. */
size_t gpt_bytes(struct tensors *tensors, size_t max_rows, enum gpt_use use);

/* Sets GPT-2's initial weights: normal with the table's standard deviations. Each weight is a
 * function of (seed, tensor, element) alone. */
void gpt_init(struct gpt *g, uint64_t seed);

/* Computes logits (B,T,V) of a batch's inputs, T <= block_size, without dropout. */
void gpt_logits(struct gpt *g, real *logits, const struct batch *batch);

/* Returns the mean cross-entropy in nats per target, over the targets that are not NO_TARGET (0 if
 * there are none), and writes each token's loss to g->losses. Document starts limit attention;
 * positions count from the beginning of the row. d is NULL in evaluation. */
acc gpt_loss(struct gpt *g, const struct batch *batch, const struct dropout *d);

/* The same, and adds the gradient of batch->weight times that mean into g->grads. */
acc gpt_loss_and_grads(struct gpt *g, const struct batch *batch, const struct dropout *d);

/* A forward, and a backward for the upstream gradients g->dlosses (B T), one for each token's loss.
 * Without dropout, g->dstream ends as the gradient of the embedded tokens. */
void gpt_backward(struct gpt *g, const struct batch *batch, const struct dropout *d);

#endif
