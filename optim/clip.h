/* clip.h: clipping by the norm of the whole gradient (Pascanu, Mikolov and Bengio 2013,
 * arXiv:1211.5063). */
#ifndef CLIP_H
#define CLIP_H

#include "optim/norms.h"

/* The factor that scales a gradient of this norm (gradient_norm) to at most `clip`; 1 if clip is 0.
 * All tensors share it, so the direction does not change. The 1e-6 is PyTorch's. */
static inline double clip_factor(double norm, double clip)
{
    const double factor = clip / (norm + 1e-6);
    return clip > 0 && factor < 1 ? factor : 1;
}

#endif
