/* checkpoint.h: one file that samples, evaluates and resumes.
 *
 * An HDF5 image built in memory, with a checksummed 512-byte user block in front, written by atomic_write: libhdf5 never touches
 * the disk, and a damaged file is found before libhdf5 parses any of it.
 *
 *   bytes 0 … 511     the user block: magic, format version, length of the image, step, CRC32 of the image, CRC32 of the block
 *   crc32             bytes of a text, a line "CRC32  NAME" for each of the tensors below: zlib's CRC32 of its bytes, eight hexadecimal digits
 *   params/<name>     float32, in the tensors' file shapes
 *   adamw/m/<name>, adamw/v/<name>     where there is optimiser state
 *   grads/<name>      where the run stopped inside an accumulation
 *   attributes        of "/": format, config (INI text), and every field of struct train_state, data_fingerprint; older files have no
 *                     tokens, which are then step times those of a step of their config
 *   tokenizer/        as tokenizer_write writes it; absent where the model was made without one
 */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include "base/error.h"
#include "data/tokenizer/tokenizer.h"
#include "model/tensors.h"
#include "optim/spike.h"
#include "train/config/config.h"
#include <stdint.h>

/* Where a run stands: all that it needs beside weights, optimiser state and configuration to go on bit for bit. Randomness is
 * counter-based, so step, micro, batch_shift and the configuration's seed are the whole generator state and the data position. */
struct train_state {
    uint64_t step;     /* optimiser steps done */
    uint64_t tokens;   /* that they have read */
    uint64_t micro;    /* micro-batches of the step in hand that grads already holds */
    double micro_loss; /* sum of their losses */
    double smoothed_loss;
    double val_loss, best_val_loss; /* NAN where not measured; val_loss is the last measured */
    uint64_t val_step, best_step;   /* the steps done when they were measured */

    uint64_t updates; /* steps that changed the weights: all that were not skipped */
    uint64_t
        skipped; /* steps of this run without an update, those that a rollback undid included */
    uint64_t skipped_in_row; /* since the last update */
    uint64_t spikes;         /* of the skipped: those whose loss was a spike */
    uint64_t rollbacks, rolled_back_from,
        rolled_back_to; /* how many, and the steps of the last one */
    uint64_t
        batch_shift; /* step s reads the batches that step s + batch_shift would read: a rollback jumps over some */
    struct loss_window recent; /* losses of the last updates */
};

struct checkpoint {
    struct config config;
    struct train_state state;
    char data_fingerprint[65];   /* of the training data, loader_fingerprint; "" before any */
    struct tokenizer *tokenizer; /* or NULL */
    struct tensors *tensors;     /* the table that the arrays below are laid out by */
    const float *params, *m, *v, *grads; /* the arrays to write; m, v, grads may be NULL */
};

/* Writes the checkpoint whole or not at all, from the arrays as they are. Saving twice gives the same bytes. */
int checkpoint_write(const struct checkpoint *c, const char *path, struct error *err);

struct snapshot;
/* The same in steps, for a writer on another thread: see snapshot.h. s is all zero but for image.file = -1, or one that served
 * before, whose image's memory is used again. On failure the image may be open: h5_image_free. */
int checkpoint_lay_out(struct snapshot *s, const struct checkpoint *c, const char *path,
                       struct error *err);
/* A little more than the bytes that the file will have. */
size_t checkpoint_size(const struct checkpoint *c);

struct checkpoint_file; /* one that is open for reading */

/* Reads the file, checks the user block and both checksums, then parses configuration, state and tokenizer into *c (its arrays
 * stay NULL; tensors is made for the configuration, with padded_vocab_size as it says) and checks that params has exactly the
 * tensors of the table, in type and shape. Files are hostile: every size is checked before it is used. The caller frees with
 * checkpoint_close. */
struct checkpoint_file *checkpoint_open(const char *path, struct checkpoint *c, struct error *err);
/* Reads one group ("params", "adamw/m", "adamw/v", "grads") into an array laid out by the table. Padding and gaps are left
 * untouched. Where the group is missing, returns -1 and says so. */
int checkpoint_read(struct checkpoint_file *f, const char *group, float *array, struct error *err);
bool checkpoint_has(struct checkpoint_file *f, const char *group);
/* Whether the file's tensors, which are those of its configuration, are the same as another table's: 0, or -1 and the first size that differs. */
int checkpoint_fits(const struct checkpoint *c, const struct tensors *expected, const char *path,
                    struct error *err);
/* Frees all of it, the tokenizer and the table in the struct checkpoint included. */
void checkpoint_close(struct checkpoint_file *f);

#endif
