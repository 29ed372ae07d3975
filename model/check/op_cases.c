/* op_cases.c: the sizes that each operation is checked in.
 *
 * A transposed index or a wrong stride shows only where sizes differ, a wrong loop bound only beside a tile: so sizes are
 * different primes, then ones, then one below, at and above STRIP (64 columns), attention's KEYS (64) and STRIP (128), the 256
 * columns of a dropout mask, gelu's BLOCK (4096), a gemm's pieces (32), and one row (where gemm is a product with a vector).
 */
#include "model/check/ops.h"

#define TANH .gelu = GELU_TANH
#define ERF  .gelu = GELU_ERF

static const struct op_case embedding[] = {
    {.B = 1, .T = 1, .C = 1, .V = 1},    {.B = 2, .T = 5, .C = 7, .V = 11},
    {.B = 5, .T = 1, .C = 3, .V = 2},    {.B = 3, .T = 7, .C = 65, .V = 13},
    {.B = 2, .T = 3, .C = 131, .V = 17}, {.B = 1, .T = 4, .C = 5, .V = 3},
};

static const struct op_case linear[] = {
    {.B = 1, .T = 1, .C = 1, .O = 1},
    {.B = 1, .T = 1, .C = 13, .O = 17, .bias = true},
    {.B = 3, .T = 5, .C = 7, .O = 11, .bias = true},
    {.B = 2, .T = 3, .C = 11, .O = 5},
    {.B = 1, .T = 2, .C = 5, .O = 129, .bias = true},
    {.B = 1, .T = 5, .C = 67, .O = 3},
    {.B = 1, .T = 71, .C = 3, .O = 67, .bias = true},
    {.B = 1, .T = 7, .C = 1, .O = 64, .bias = true},
};

static const struct op_case layernorm[] = {
    {.B = 1, .T = 1, .C = 1, .bias = true},   {.B = 2, .T = 1, .C = 3},
    {.B = 3, .T = 5, .C = 7, .bias = true},   {.B = 1, .T = 3, .C = 63},
    {.B = 1, .T = 2, .C = 64, .bias = true},  {.B = 1, .T = 5, .C = 65, .bias = true},
    {.B = 1, .T = 1, .C = 131, .bias = true}, {.B = 1, .T = 67, .C = 3, .bias = true},
};

static const struct op_case gelu[] = {{.B = 1, .T = 1, .C = 1},
                                      {.B = 3, .T = 5, .C = 7},
                                      {.B = 1, .T = 3, .C = 67},
                                      {.B = 1, .T = 4099, .C = 1, .large = true}};

static const struct op_case softmax[] = {
    {.B = 1, .T = 1, .C = 1}, {.B = 1, .T = 1, .C = 13}, {.B = 3, .T = 5, .C = 7},
    {.B = 7, .T = 1, .C = 2}, {.B = 1, .T = 3, .C = 67},
};

static const struct op_case dropout[] = {
    {.B = 1, .T = 1, .C = 1, .p = 0.25},
    {.B = 3, .T = 5, .C = 7, .p = 0.3},
    {.B = 2, .T = 3, .C = 11, .p = 0.5, .first_row = 5},
    {.B = 1, .T = 2, .C = 255, .p = 0.1},
    {.B = 1, .T = 3, .C = 257, .p = 0.4, .first_row = 1},
    {.B = 1, .T = 1, .C = 513, .p = 0.3},
};

static const struct op_case residual[] = {
    {.B = 1, .T = 1, .C = 1},
    {.B = 3, .T = 5, .C = 7},
    {.B = 2, .T = 3, .C = 11, .p = 0.4, .first_row = 5},
    {.B = 1, .T = 2, .C = 257},
    {.B = 1, .T = 2, .C = 259, .p = 0.3},
    {.B = 1, .T = 1, .C = 13, .p = 0.3},
};

static const struct op_case attention[] = {
    {.B = 1, .T = 1, .C = 1, .H = 1},
    {.B = 2, .T = 1, .C = 6, .H = 3},
    {.B = 2, .T = 7, .C = 15, .H = 3},
    {.B = 3, .T = 5, .C = 4, .H = 4},
    {.B = 2, .T = 13, .C = 5, .H = 1, .p = 0.2},
    {.B = 1, .T = 16, .C = 6, .H = 2},
    {.B = 2, .T = 17, .C = 6, .H = 2, .p = 0.3, .first_row = 3},
    {.B = 1, .T = 33, .C = 3, .H = 1},
    {.B = 1, .T = 64, .C = 3, .H = 1},
    {.B = 1, .T = 65, .C = 2, .H = 2},
    {.B = 1, .T = 83, .C = 4, .H = 2, .p = 0.2},
    {.B = 1, .T = 131, .C = 2, .H = 1},
    {.B = 1, .T = 149, .C = 6, .H = 2, .p = 0.1, .large = true},
    {.B = 1, .T = 199, .C = 2, .H = 1, .large = true},
    {.B = 1, .T = 5, .C = 134, .H = 2, .large = true},
    {.B = 1, .T = 2, .C = 3, .H = 1, .document = 1},
    {.B = 2, .T = 13, .C = 6, .H = 2, .document = 4},
    {.B = 2, .T = 17, .C = 5, .H = 1, .document = 3, .p = 0.3, .first_row = 3},
    {.B = 1, .T = 140, .C = 4, .H = 2, .document = 150, .large = true},
    {.B = 1, .T = 397, .C = 2, .H = 1, .document = 1000, .p = 0.2, .large = true},
};

static const struct op_case mlp[] = {
    {.B = 1, .T = 1, .C = 1, TANH},
    {.B = 2, .T = 3, .C = 5, .bias = true, TANH},
    {.B = 3, .T = 1, .C = 7, .bias = true, ERF},
    {.B = 1, .T = 5, .C = 3, ERF},
    {.B = 1, .T = 1, .C = 6, .bias = true, ERF},
    {.B = 1, .T = 2, .C = 17, .bias = true, TANH, .large = true},
};

static const struct op_case loss[] = {
    {.B = 1, .T = 1, .C = 1, .V = 1, .P = 1},
    {.B = 1, .T = 1, .C = 3, .V = 5, .P = 6},
    {.B = 2, .T = 3, .C = 5, .V = 7, .P = 7},
    {.B = 3, .T = 5, .C = 4, .V = 11, .P = 16},
    {.B = 1, .T = 7, .C = 67, .V = 3, .P = 5},
    {.B = 1, .T = 37, .C = 2, .V = 71, .P = 72},
    {.B = 2, .T = 7, .C = 3, .V = 5, .P = 8, .document = 3},
    {.B = 1,
     .T = 131,
     .C = 2,
     .V = 65537,
     .P = 65539,
     .large = true}, /* two chunks of complex numbers: 128 rows and 3 */
};

static const struct op_case block[] = {
    {.B = 1, .T = 1, .C = 3, .H = 1, .bias = true, TANH},
    {.B = 2, .T = 5, .C = 6, .H = 3, .bias = true, TANH},
    {.B = 2, .T = 3, .C = 5, .H = 1, ERF},
    {.B = 3, .T = 2, .C = 4, .H = 2, .bias = true, ERF, .p = 0.2, .first_row = 4},
    {.B = 2, .T = 7, .C = 6, .H = 2, TANH, .p = 0.3},
    {.B = 2, .T = 1, .C = 7, .H = 7, .bias = true, TANH},
    {.B = 1, .T = 1, .C = 6, .H = 2, .bias = true, ERF},
    {.B = 2, .T = 7, .C = 4, .H = 2, .bias = true, TANH, .document = 3, .p = 0.2},
    {.B = 1, .T = 67, .C = 6, .H = 2, .bias = true, TANH, .p = 0.1, .large = true},
};

#define LIST(cases)                                                                                \
    {                                                                                              \
        cases, sizeof cases / sizeof *cases                                                        \
    }

static const struct {
    const struct op_case *cases;
    size_t count;
} lists[OPS] = {
    [OP_EMBEDDING] = LIST(embedding), [OP_LINEAR] = LIST(linear),
    [OP_LAYERNORM] = LIST(layernorm), [OP_GELU_TANH] = LIST(gelu),
    [OP_GELU_ERF] = LIST(gelu),       [OP_SOFTMAX] = LIST(softmax),
    [OP_DROPOUT] = LIST(dropout),     [OP_RESIDUAL] = LIST(residual),
    [OP_ATTENTION] = LIST(attention), [OP_MLP] = LIST(mlp),
    [OP_LOSS] = LIST(loss),           [OP_BLOCK] = LIST(block),
};

const struct op_case *op_cases(enum op op, size_t *count)
{
    *count = lists[op].count;
    return lists[op].cases;
}
