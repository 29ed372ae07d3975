/* mistakes_plain.h: the plain operations, between the files they are spread over: the signatures of optable.h, where the first
 * argument is of no use. */
#ifndef MISTAKES_PLAIN_H
#define MISTAKES_PLAIN_H

#include "model/check/mistakes.h"
#include "model/real.h"

#define plain_attention_forward  NAME(plain_attention_forward)
#define plain_attention_backward NAME(plain_attention_backward)
#define plain_mlp_forward        NAME(plain_mlp_forward)
#define plain_mlp_backward       NAME(plain_mlp_backward)
#define plain_loss_forward       NAME(plain_loss_forward)
#define plain_loss_backward      NAME(plain_loss_backward)
#define plain_block_forward      NAME(plain_block_forward)
#define plain_block_backward     NAME(plain_block_backward)

void plain_attention_forward(op_function *f, void *const *x, const struct op_case *c);
void plain_attention_backward(op_function *f, void *const *dx, void *const *x,
                              const struct op_case *c);
void plain_mlp_forward(op_function *f, void *const *x, const struct op_case *c);
void plain_mlp_backward(op_function *f, void *const *dx, void *const *x, const struct op_case *c);
void plain_loss_forward(op_function *f, void *const *x, const struct op_case *c);
void plain_loss_backward(op_function *f, void *const *dx, void *const *x, const struct op_case *c);
void plain_block_forward(op_function *f, void *const *x, const struct op_case *c);
void plain_block_backward(op_function *f, void *const *dx, void *const *x, const struct op_case *c);

#endif
