/* loader.h: batches of token windows from a directory of shards.
 *
 * The batch of a step is a pure function of (seed, step), so a resumed run continues exactly. A
 * thread reads ahead; while steps are requested in order, loader_batch waits only if training is
 * faster than the disk.
 */
#pragma once

#include "base/batch.h"
#include "base/error.h"
#include "data/split.h"
#include "data/window.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loader;

struct loader_config {
    const char *dir;   /* contains SPLIT-NNNNN.h5 and tokenizer.h5 */
    const char *split; /* "train", "val" */
    enum order order;
    enum window_starts windows;
    bool mask_documents; /* sets batch.start, and NO_TARGET in targets */
    uint64_t seed;
    size_t rows;                      /* of a micro-batch: batch_size */
    size_t accumulate;                /* micro-batches per step */
    size_t block_size;                /* T, tokens of a row */
    uint64_t row_shift;               /* added to the number of each row, modulo 2^64 */
    uint64_t first_step, first_micro; /* where reading ahead begins */
};

/* Opens the split and starts the thread.
 *
 * With B = rows * accumulate, N tokens in the split and T = block_size, row r of step s has number
 * k = s B + r + row_shift (micro-batch m holds the rows from m * rows on) and begins where window.h
 * says: sequential: at token k T mod N; the window wraps around the end. shuffled: every epoch has
 * each window once, in a new order, and no window wraps. Windows that begin at documents
 * (documents.h) are ordered likewise; the last one may wrap. */
struct loader *loader_open(const struct loader_config *config, struct error *err);
void loader_close(struct loader *l);
const struct split *loader_split(const struct loader *l);
/* Bytes that a loader allocates for micro-batches of this many tokens. */
size_t loader_bytes(size_t tokens, size_t block_size, bool mask_documents);

/* Fills in micro-batch `micro` of `step`; its arrays are valid until the next call. batch->weight
 * is its share of the step's targets that count. Requests out of order are allowed, but slower. */
int loader_batch(struct loader *l, uint64_t step, uint64_t micro, struct batch *batch,
                 struct error *err);
