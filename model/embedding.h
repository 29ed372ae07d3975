/* embedding.h: token and position embeddings, forward and backward. */
#ifndef EMBEDDING_H
#define EMBEDDING_H

#include "model/real.h"

#define embedding_forward  NAME(embedding_forward)
#define embedding_backward NAME(embedding_backward)

/* x (B,T,C) = wte[ids] + wpe[first + t]. ids (B,T), wte (V,C), wpe (at least first + T rows, C).
 * first is the position of each sequence's first token: 0, except in decoding with a cache. */
void embedding_forward(real *x, const uint32_t *ids, const real *wte, const real *wpe, size_t first,
                       size_t B, size_t T, size_t C);

/* Adds into dwte (V,C) and dwpe (T,C) the gradients for dx (B,T,C), with positions from 0. */
void embedding_backward(real *dwte, real *dwpe, const real *dx, const uint32_t *ids, size_t B,
                        size_t T, size_t C);

#endif
