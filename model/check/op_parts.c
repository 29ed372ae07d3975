/* op_parts.c: what compositions are made of: a block, whose MLP's parts are an MLP's too. */
#include "model/check/ops.h"

const struct op_part_info op_part_info[OP_PARTS] = {
    [PART_LN_1] = {"ln_1", OP_LAYERNORM},
    [PART_C_ATTN] = {"attn.c_attn", OP_LINEAR},
    [PART_ATTENTION] = {"attn", OP_ATTENTION},
    [PART_ATTN_C_PROJ] = {"attn.c_proj", OP_LINEAR},
    [PART_ATTN_RESIDUAL] = {"the residual line after attn", OP_RESIDUAL},
    [PART_ATTN_DROPOUT] = {"the residual line after attn", OP_DROPOUT},
    [PART_LN_2] = {"ln_2", OP_LAYERNORM},
    [PART_MLP] = {"mlp", OP_MLP},
    [PART_MLP_RESIDUAL] = {"the residual line after mlp", OP_RESIDUAL},
    [PART_MLP_DROPOUT] = {"the residual line after mlp", OP_DROPOUT},
    [PART_C_FC] = {"mlp.c_fc", OP_LINEAR},
    [PART_GELU_TANH] = {"mlp's gelu_tanh", OP_GELU_TANH},
    [PART_GELU_ERF] = {"mlp's gelu_erf", OP_GELU_ERF},
    [PART_MLP_C_PROJ] = {"mlp.c_proj", OP_LINEAR},
};

bool op_has_part(enum op op, enum op_part part)
{
    return op == OP_BLOCK || (op == OP_MLP && part >= PART_C_FC);
}
