/* sampler.h: draws the next token from logits. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct sampler {
    double temperature; /* 0: the largest logit, the first of equals */
    size_t top_k;       /* only the k most likely tokens; 0: all */
    double top_p;       /* only the most likely tokens whose probabilities add up to p (Holtzman et
                           al. 2020, arXiv:1904.09751); 1: all */
    uint64_t seed;
    struct candidate {
        float logit;
        uint32_t id;
    } * candidates;    /* (V), workspace */
    size_t V, in_heap; /* vocabulary size; candidates that are in the heap */
};

/* -1 if out of memory. */
int sampler_create(struct sampler *s, size_t V);
void sampler_destroy(struct sampler *s);

/* Draws a token from logits (V). The random number is a function of (seed, position). */
uint32_t sampler_next(struct sampler *s, const float *logits, uint64_t position);
