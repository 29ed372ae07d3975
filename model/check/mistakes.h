/* mistakes.h: planted mistakes: what people write who derive these gradients by hand, for the checker to be checked with.
 *
 * Beside each operation stands a plain one (mistakes_*.c): its formula in loops as they stand in a textbook, with the places where
 * people go wrong. op_case.faults says which of these mistakes it makes; several at once are pairs. With none it is the definition
 * that the fast forward is compared with.
 */
#ifndef MISTAKES_H
#define MISTAKES_H

#include "model/check/op_code.h"

/* Bits of op_case.faults, from 1 for each operation. "Both" makes forward and backward agree on the wrong function, which no
 * derivative can show, only the definition. */
enum {
    EMBEDDING_TOKEN_ASSIGNED = 1 << 0,
    EMBEDDING_POSITION_ASSIGNED = 1 << 1,
    EMBEDDING_POSITION_LAST = 1 << 2,
    EMBEDDING_POSITION_SHIFTED = 1 << 3,

    LINEAR_W_TRANSPOSED = 1 << 0,
    LINEAR_DW_TRANSPOSED = 1 << 1,
    LINEAR_BIAS_AVERAGED = 1 << 2,
    LINEAR_BIAS_LAST_ROW = 1 << 3,
    LINEAR_DX_ASSIGNED = 1 << 4,
    LINEAR_DW_ASSIGNED = 1 << 5,

    LAYERNORM_MEAN_DROPPED = 1 << 0,
    LAYERNORM_XHAT_DROPPED = 1 << 1,
    LAYERNORM_N_MINUS_1 = 1 << 2,
    LAYERNORM_N_MINUS_1_BOTH = 1 << 3,
    LAYERNORM_EPS_OUTSIDE = 1 << 4,
    LAYERNORM_GAIN_DROPPED = 1 << 5,
    LAYERNORM_GAIN_LATE = 1 << 6,
    LAYERNORM_DGAIN_OF_X = 1 << 7,
    LAYERNORM_RSTD_DROPPED = 1 << 8,
    LAYERNORM_RSTD_TWICE = 1 << 9,
    LAYERNORM_DX_ASSIGNED = 1 << 10,

    GELU_INNER_DROPPED = 1 << 0, /* gelu_tanh */
    GELU_CUBE = 1 << 1,          /* gelu_tanh */
    GELU_PRODUCT_RULE = 1 << 2,
    GELU_OTHER_FORM = 1 << 3,
    GELU_OTHER_FORM_BOTH = 1 << 4,
    GELU_AT_OUTPUT = 1 << 5,

    SOFTMAX_DOT_DROPPED = 1 << 0,
    SOFTMAX_DIAGONAL = 1 << 1,
    SOFTMAX_DOT_UNWEIGHTED = 1 << 2,
    SOFTMAX_ZERO = 1 << 3,
    SOFTMAX_DOWN_COLUMNS = 1 << 4,

    DROPOUT_REDRAWN = 1 << 0,
    DROPOUT_UNSCALED = 1 << 1,
    DROPOUT_IGNORED = 1 << 2,
    DROPOUT_INVERTED = 1 << 3,

    RESIDUAL_ASSIGNED = 1 << 0,
    RESIDUAL_MASK_FORGOTTEN = 1 << 1,
    RESIDUAL_SKIP_MASKED = 1 << 2,
    RESIDUAL_BRANCH_LOST = 1 << 3,

    ATTENTION_SCALE_DROPPED = 1 << 0,
    ATTENTION_SCALE_TWICE = 1 << 1,
    ATTENTION_DOT_DROPPED = 1 << 2,
    ATTENTION_DP_UNDROPPED = 1 << 3,
    ATTENTION_DV_UNDROPPED = 1 << 4,
    ATTENTION_DIAGONAL_LOST = 1 << 5,
    ATTENTION_DQ_DK_SWAPPED = 1 << 6,
    ATTENTION_ASSIGNED = 1 << 7,
    ATTENTION_LEAK = 1 << 8, /* from here on: forward */
    ATTENTION_MASK_LATE = 1 << 9,
    ATTENTION_OVER_QUERIES = 1 << 10,
    ATTENTION_HEADS_INTERLEAVED = 1 << 11,
    ATTENTION_SCALE_OF_WIDTH = 1 << 12,
    ATTENTION_UNSCALED = 1 << 13,
    ATTENTION_DOCUMENT_EARLY = 1 << 14,
    ATTENTION_DOCUMENTS_IGNORED = 1 << 15,
    ATTENTION_BOTH = 1 << 16, /* with those above */
    ATTENTION_DOCUMENT_LATE = 1 << 17,

    MLP_GELU_SKIPPED = 1 << 0,
    MLP_GELU_OF_ACT = 1 << 1,
    MLP_STALE = 1 << 2,
    MLP_BIAS_OF_DACT = 1 << 3,

    LOSS_TARGET_FORGOTTEN = 1 << 0,
    LOSS_TARGET_SHIFTED = 1 << 1,
    LOSS_UPSTREAM_IGNORED = 1 << 2,
    LOSS_DWTE_ASSIGNED = 1 << 3,
    LOSS_PADDING_COUNTS = 1 << 4,
    LOSS_PADDING_COUNTS_BOTH = 1 << 5,
    LOSS_SIGN = 1 << 6,
    LOSS_NO_TARGET_LEARNT = 1 << 7,

    BLOCK_ATTENTION_SKIP_LOST = 1 << 0,
    BLOCK_MLP_SKIP_LOST = 1 << 1,
    BLOCK_OTHER_MASK = 1 << 2,
    BLOCK_LAYERNORM_OF_OUTPUT = 1 << 3,
};

/* Mistakes in how the model is put together: each has its own gpt_loss_and_grads. */
enum model_mistake {
    MODEL_SUM,
    MODEL_DIVIDED_TWICE,
    MODEL_TARGETS_SHIFTED,
    MODEL_OUTPUT_LOST,
    MODEL_EMBEDDING_LOST,
    MODEL_ASSIGNED,
    MODEL_SCALE_IGNORED,
    MODEL_MASKS_REPEATED,
    MODEL_ALL_TOKENS,
    MODEL_DOCUMENTS_LOST,
    MODEL_MISTAKES
};

struct mistake {
    enum op op;      /* OPS: of the model */
    unsigned faults; /* or enum model_mistake */
    const char *name, *why;
};

extern const struct mistake mistakes[];
extern const size_t mistakes_count;

/* The plain operations of each build, and the mistaken compositions. */
extern const struct op_code plain_f32[OPS], plain_f64[OPS], plain_c128[OPS];
extern op_function *const model_mistakes_f32[MODEL_MISTAKES],
    *const model_mistakes_f64[MODEL_MISTAKES], *const model_mistakes_c128[MODEL_MISTAKES];

#endif
