/* clip.h: the norm of the whole gradient, and clipping by it (Pascanu, Mikolov and Bengio 2013, arXiv:1211.5063). */
#ifndef CLIP_H
#define CLIP_H

#include "model/real.h"
#include "model/tensors.h"

#define gradient_norm TYPE(gradient_norm)

/* The Euclidean norm of all gradients as one vector. */
double gradient_norm(const real *grads, const struct tensors *tensors);

/* The factor that brings a gradient of this norm to at most `clip`; 1 for clip 0. One factor for all tensors, so the direction
 * stays; with PyTorch's 1e-6 in the quotient. */
static inline double clip_factor(double norm, double clip)
{
    const double factor = clip / (norm + 1e-6);
    return clip > 0 && factor < 1 ? factor : 1;
}

#endif
