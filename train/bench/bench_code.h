/* bench_code.h: what `handgrad bench` runs, behind a door that does not depend on the number type: a row for each precision. */
#ifndef BENCH_CODE_H
#define BENCH_CODE_H

#include "model/check/op_code.h"
#include "model/gemm/gemm_backend.h"
#include "model/tensors.h"
#include "train/config/config.h"
#include <stdbool.h>
#include <stddef.h>

/* C (M,N) = op(A) op(B), or that added to C, with the least leading dimensions. */
struct bench_shape {
    bool transpose_a, transpose_b, adds;
    size_t M, N, K;
};

struct bench_code {
    const char *precision;
    size_t element; /* bytes of a number in memory */
    const struct op_code *ops;
    void (*product)(enum gemm_backend library, const struct bench_shape *s, const void *A,
                    const void *B, void *C);
    void (*fill)(void *x, size_t n); /* numbers of the size of activations */

    /* A model, its optimiser and one batch of random tokens. NULL where memory is short. */
    void *(*create)(const struct model_config *config, size_t B, size_t T,
                    enum recompute recompute);
    void (*destroy)(void *trainee);
    const struct tensors *(*tensors)(const void *trainee);
    void (*short_step)(
        void *trainee); /* on the beginning of the batch, through all the code of a step */
    void (*step)(
        void *
            trainee); /* a training step as the trainer does it, clipping included; and parts of it: */
    void (*zero_grads)(void *trainee);
    void (*grad_norm)(void *trainee);
    void (*update)(void *trainee);

    /* A decoder of so many texts with a model of initial weights that takes at most max_rows tokens of each at a time. NULL where
     * memory is short. */
    void *(*writer_create)(const struct model_config *config, size_t texts, size_t max_rows);
    void (*writer_destroy)(void *writer);
    const struct tensors *(*writer_tensors)(const void *writer);
    void (*writer_forward)(void *writer, size_t n); /* the next n tokens of each text */
};

extern const struct bench_code bench_code_f32, bench_code_bf16;

#endif
