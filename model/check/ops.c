/* ops.c: the tables of operations, from ops.def and, for the block, from block_parts.def. */
#include "model/check/ops.h"
#include "base/minmax.h"
#include "model/loss.h"
#include <stdio.h>
#include <string.h>

/* clang-format off */
#define OUTPUT(name, shape)  {#name, ROLE_OUTPUT, shape, false, false},
#define SAVED(name, shape)   {#name, ROLE_SAVED, shape, false, false},
#define INPUT(name, shape)   {#name, ROLE_INPUT, shape, false, false},
#define PARAM(name, shape)   {#name, ROLE_PARAMETER, shape, false, false},
#define GAIN(name, shape)    {#name, ROLE_PARAMETER, shape, false, true},
#define BIAS(name, shape)    {#name, ROLE_PARAMETER, shape, true, false},
#define SCRATCH(name, shape) {#name, ROLE_SCRATCH, shape, false, false},
#define PART(name, OP, op)   {name, OP_##OP},

#define OP(ID, name, function, list, forward, backward, part_list, ...)   \
    static const struct op_tensor ID##_tensors[] = {list};                \
    static const struct op_part ID##_parts[] = {part_list {NULL, OPS}};   \
    static const struct op_case ID##_cases[] = {__VA_ARGS__};
#include "model/check/ops.def"
#undef OP
#undef BIAS
#undef PART

static const struct op_tensor BLOCK_tensors[] = {
    {"x", ROLE_INPUT, "N C", false, false},
#define IS_UNIT     true
#define IS_NORMAL   false
#define IS_RESIDUAL false
#define PARAMETER(kind, name, shape, init) {name, ROLE_PARAMETER, shape, false, IS_##init},
#define BIAS(kind, name, shape)            {name, ROLE_PARAMETER, shape, true, false},
#define ACTIVATION(name, shape)            {#name, ROLE_SAVED, shape, false, false},
#define RESULT(name, shape)                {#name, ROLE_OUTPUT, shape, false, false},
#include "model/block_parts.def"
    {"branch", ROLE_SCRATCH, "N C", false, false},
    {"dproj", ROLE_SCRATCH, "N W", false, false},
    {"dact", ROLE_SCRATCH, "N F", false, false},
    {"dnorm", ROLE_SCRATCH, "N C", false, false},
};

static const struct op_part BLOCK_parts[] = {
#define PART(name, OP, op) {name, OP_##OP},
#define GROUP(name, OP)    {name, OP_##OP},
#include "model/block_parts.def"
    {NULL, OPS},
};

static const struct op_case BLOCK_cases[] = {
    {.B = 1, .T = 1, .C = 3, .H = 1, .bias = true, .gelu = GELU_TANH},
    {.B = 2, .T = 5, .C = 6, .H = 3, .bias = true, .gelu = GELU_TANH},
    {.B = 2, .T = 3, .C = 5, .H = 1, .gelu = GELU_ERF},
    {.B = 3, .T = 2, .C = 4, .H = 2, .bias = true, .gelu = GELU_ERF, .p = 0.2, .first_row = 4},
    {.B = 2, .T = 7, .C = 6, .H = 2, .gelu = GELU_TANH, .p = 0.3},
    {.B = 2, .T = 1, .C = 7, .H = 7, .bias = true, .gelu = GELU_TANH},
    {.B = 1, .T = 1, .C = 6, .H = 2, .bias = true, .gelu = GELU_ERF},
    {.B = 2, .T = 7, .C = 4, .H = 2, .bias = true, .gelu = GELU_TANH, .document = 3, .p = 0.2},
    {.B = 1, .T = 67, .C = 6, .H = 2, .bias = true, .gelu = GELU_TANH, .p = 0.1, .large = true},
};

#define COUNT(list) (sizeof list / sizeof *list)
#define ENTRY(ID, name, function) \
    [OP_##ID] = {name, function, ID##_tensors, COUNT(ID##_tensors), ID##_parts, COUNT(ID##_parts) - 1, ID##_cases, COUNT(ID##_cases)},
#define OP(ID, name, function, ...) ENTRY(ID, #name, #function)
const struct op_info op_info[OPS] = {
#include "model/check/ops.def"
    ENTRY(BLOCK, "block", "block")
};
/* clang-format on */

enum op op_find(const char *name)
{
    enum op op = 0;
    while (op < OPS && strcmp(op_info[op].name, name))
        op++;
    return op;
}

static size_t add_places(struct op_place places[OP_PLACES_MAX], size_t n, enum op op,
                         const char *name)
{
    places[n].op = op;
    snprintf(places[n++].name, sizeof places->name, "%s", name);
    for (size_t i = 0; i < op_info[op].part_count; i++) {
        const struct op_part *part = &op_info[op].parts[i];
        char below[sizeof places->name];
        snprintf(below, sizeof below, "%.30s%s%.15s", name, *name ? "." : "", part->name);
        n = add_places(places, n, part->op, below);
    }
    return n;
}

size_t op_places(struct op_place places[OP_PLACES_MAX], enum op op)
{
    return add_places(places, 0, op, "");
}

struct model_config op_config(const struct op_case *c)
{
    return (struct model_config){.n_layer = OP_LAYER + 1,
                                 .n_head = c->H,
                                 .n_embd = c->C,
                                 .block_size = c->T,
                                 .vocab_size = c->V,
                                 .padded_vocab_size = c->P,
                                 .bias = c->bias,
                                 .gelu = c->gelu,
                                 .dropout = c->p};
}

size_t op_dim(const struct op_case *c, char letter)
{
    const struct model_config config = op_config(c);
    switch (letter) {
    case 'B':
        return c->B;
    case 'N':
        return c->B * c->T;
    case 'O':
        return c->O;
    case 'L':
        return loss_chunk(c->B * c->T, c->P);
    case 'W': /* the widest gradient of the block's projections */
        return size_max(model_dim(&config, 'Q'), model_dim(&config, 'F'));
    default:
        return model_dim(&config, letter);
    }
}

void op_argument(char name[OP_NAME_MAX], const struct op_tensor *t)
{
    size_t i = 0;
    for (; t->name[i] && i + 1 < OP_NAME_MAX; i++)
        name[i] = t->name[i] == '.' ? '_' : t->name[i];
    name[i] = '\0';
}

int op_shape(size_t shape[3], const struct op_tensor *t, const struct op_case *c)
{
    if (t->is_bias && !c->bias)
        return 0;
    int n = 0;
    for (const char *s = t->shape; *s; s++)
        if (*s != ' ')
            shape[n++] = op_dim(c, *s);
    return n;
}

size_t op_size(const struct op_tensor *t, const struct op_case *c)
{
    size_t shape[3], n = 1;
    const int ndim = op_shape(shape, t, c);
    for (int i = 0; i < ndim; i++)
        n *= shape[i];
    return ndim ? n : 0;
}
