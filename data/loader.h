/* loader.h: from a folder of shards to batches of windows.
 *
 * The batch of a step is a pure function of (seed, step): a resumed run asks for its next step and has lost nothing. A thread
 * reads ahead; loader_batch for the steps in order only waits when training is faster than the disk.
 */
#ifndef LOADER_H
#define LOADER_H

#include "base/error.h"
#include "data/split.h"
#include "data/window.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loader;

struct loader_config {
    const char *dir;   /* holds SPLIT-NNNNN.h5 and tokenizer.h5 */
    const char *split; /* "train", "val" */
    enum order order;
    enum window_starts windows;
    bool mask_documents; /* loader_starts, and NO_TARGET in targets */
    uint64_t seed;
    size_t rows;                      /* of one micro-batch: batch_size */
    size_t accumulate;                /* micro-batches of a step */
    size_t block_size;                /* T, tokens of a row */
    uint64_t first_step, first_micro; /* where the reading ahead begins */
};

/* Opens every shard of the split, checks them against each other and the tokenizer in dir, and starts the thread.
 *
 * With B = rows * accumulate, N tokens in the split (its shards in order are one stream) and T = block_size, row r of step s has
 * number k = s B + r (micro-batch m has the rows from m * rows on), and begins where window.h says:
 * sequential: at token k T mod N; the window wraps around the end.
 * shuffled: each epoch has each window exactly once, in an order of its own, and none wraps.
 * Windows that begin at documents (documents.h) come one after the other or shuffled in the same way; the last one may wrap. */
struct loader *loader_open(const struct loader_config *config, struct error *err);
void loader_close(struct loader *l);
/* The bytes that it takes for micro-batches of so many tokens in all. */
size_t loader_bytes(size_t tokens, size_t block_size, bool mask_documents);

/* inputs and targets (rows, block_size) of micro-batch `micro` of `step`: pointers that stay valid until the next call.
 * The thread reads on from there; asking out of order is allowed and merely slower. Returns -1 where a read failed. */
int loader_batch(struct loader *l, uint64_t step, uint64_t micro, const uint32_t **inputs,
                 const uint32_t **targets, struct error *err);

/* Of the batch that loader_batch gave last, for as long: the position in its row where each input's document begins, (rows,
 * block_size). NULL without mask_documents. */
const uint32_t *loader_starts(const struct loader *l);

/* What the mean loss of a micro-batch weighs in that of its step: its share of the targets that count, 1 / accumulate without
 * mask_documents. A function of the position alone: reads nothing. */
double loader_weight(const struct loader *l, uint64_t step, uint64_t micro);

const struct split *loader_split(const struct loader *l);

#endif
