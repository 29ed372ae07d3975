/* peak.h: what a step's arithmetic costs, and what the machine could do. */
#ifndef PEAK_H
#define PEAK_H

#include "../model/tensors.h"

/* Floating-point operations of one training step on B sequences of T tokens: three times the forward's (the backward has two
 * products for each one of the forward), two for each multiply-add, causal attention at half (Chowdhery et al. 2022,
 * arXiv:2204.02311, appendix B; but for the half). */
double step_flops(const struct model_config *c, size_t B, size_t T);

/* The machine's own rate of float32 products, FLOP/s: the best of a few of 1024 x 1024 x 1024 with gemm. About 0.1 s. */
double product_rate(void);

#endif
