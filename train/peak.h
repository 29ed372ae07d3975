/* peak.h: the floating-point operations of a training step, and what the machine is capable of. */
#pragma once

#include "model/tensors.h"

/* Floating-point operations of one training step on B sequences of T tokens: two per multiply-add,
 * three times the forward (Chowdhery et al. 2022, arXiv:2204.02311, appendix B); unlike there,
 * causal attention counts half. */
double step_flops(const struct model_config *c, size_t B, size_t T);

/* The following run on all threads for about 0.1 s and add up the rates that the threads reach in
 * their own CPU time, so that other programs hardly disturb them. */

struct peak {
    const char *unit; /* "AVX-512"; NULL if the processor has none */
    double flops;     /* FLOP/s of all threads, two per multiply-add */
};

/* Multiply-adds between registers on the widest vectors of this CPU, whatever the program was
 * compiled for. */
struct peak float32_peak(void);
/* The same for products of bf16 that are summed in float32: AMX's tiles or the dot products of
 * AVX512_BF16. */
struct peak bf16_peak(void);
/* FLOP/s: the bf16 peak if the products of a run use bf16 instructions, otherwise the float32
 * peak. */
double products_peak(bool bf16);

/* Bytes/s from memory of `bytes` in all; 0 if memory is short. Copying counts what is read and what
 * is written, as STREAM does (McCalpin 1995). */
double copy_bandwidth(size_t bytes);
double read_bandwidth(size_t bytes);
