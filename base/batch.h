/* batch.h: a batch of token windows, as the data pipeline provides it and the model reads it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The value of a target that is not predicted and does not count in the loss. */
#define NO_TARGET UINT32_MAX

struct batch {
    const uint32_t *inputs, *targets; /* (rows, block_size) */
    const uint32_t *start; /* (rows, block_size): position in its row where each input's document
                              begins; NULL if documents are not masked */
    double weight;         /* of the batch's mean loss in the mean loss of its step */
    size_t rows, block_size;
};
