/* op_code_block.h: the callers of a block, which has more arguments than other operations: see optable.h. */
#ifndef OP_CODE_BLOCK_H
#define OP_CODE_BLOCK_H

#include "model/block.h"
#include "model/check/op_code.h"

#define call_block_forward  NAME(call_block_forward)
#define call_block_backward NAME(call_block_backward)

void call_block_forward(op_function *f, void *const *x, const struct op_case *c);
void call_block_backward(op_function *f, void *const *dx, void *const *x, const struct op_case *c);

#endif
