/* peak.h: what a step's arithmetic costs, and what the machine could do. */
#ifndef PEAK_H
#define PEAK_H

#include "model/tensors.h"

/* Floating-point operations of one training step on B sequences of T tokens: three times the forward's (the backward has two
 * products for each one of the forward), two for each multiply-add, causal attention at half (Chowdhery et al. 2022,
 * arXiv:2204.02311, appendix B; but for the half). */
double step_flops(const struct model_config *c, size_t B, size_t T);

/* What all threads do together: each thread's own rate while the others work, in its CPU time, added up, so that other programs
 * hardly disturb it. About 0.1 s each.
 *
 * The most FLOP/s of the vector units, two for each multiply-add, over registers alone: with the widest vectors that this CPU has,
 * whatever the program was built for. */
double float32_peak(void);
/* The same for products of bf16 that add into float32, on AMX's tiles or AVX512_BF16's dot products; 0 where the CPU has neither. */
double bf16_peak(void);
/* What a training run's products could reach: bf16's peak where they run on its instructions, else float32's. */
double products_peak(bool bf16);
/* The vectors that float32_peak found: "AVX-512", "AVX2" … */
const char *vector_unit(void);
/* What bf16_peak found: "AMX", "AVX512_BF16"; NULL: nothing. */
const char *bf16_unit(void);

/* Memory rates over `bytes` in all, bytes/s. Copying counts what it reads and what it writes, as STREAM does (McCalpin 1995). 0
 * where memory is short. */
double copy_bandwidth(size_t bytes);
double read_bandwidth(size_t bytes);

#endif
