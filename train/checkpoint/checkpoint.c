/* checkpoint.c: makes the file of a checkpoint, as checkpoint.h describes it: checkpoint_layout.c lays it out in memory, snapshot.c does the rest.
 *
 * HDF5 gives every tensor its place and never touches its bytes: they are copied there, or written from where they are, by us.
 * So a save from the arrays themselves takes hardly any memory, and one that copies them does so at the memory's speed. */
#include "train/checkpoint/checkpoint.h"
#include "data/hdf5/h5.h"
#include "train/checkpoint/checkpoint_parts.h"
#include "train/checkpoint/image.h"
#include "train/checkpoint/snapshot.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct state_field state_fields[] = {
    {"step", false, offsetof(struct train_state, step)},
    {"tokens", false, offsetof(struct train_state, tokens)},
    {"micro", false, offsetof(struct train_state, micro)},
    {"micro_loss", true, offsetof(struct train_state, micro_loss)},
    {"smoothed_loss", true, offsetof(struct train_state, smoothed_loss)},
    {"val_loss", true, offsetof(struct train_state, val_loss)},
    {"best_val_loss", true, offsetof(struct train_state, best_val_loss)},
    {"val_step", false, offsetof(struct train_state, val_step)},
    {"best_step", false, offsetof(struct train_state, best_step)},
    {"updates", false, offsetof(struct train_state, updates)},
    {"skipped", false, offsetof(struct train_state, skipped)},
    {"skipped_in_row", false, offsetof(struct train_state, skipped_in_row)},
    {"spikes", false, offsetof(struct train_state, spikes)},
    {"rollbacks", false, offsetof(struct train_state, rollbacks)},
    {"rolled_back_from", false, offsetof(struct train_state, rolled_back_from)},
    {"rolled_back_to", false, offsetof(struct train_state, rolled_back_to)},
    {"batch_shift", false, offsetof(struct train_state, batch_shift)},
};
const size_t state_field_count = sizeof state_fields / sizeof *state_fields;

int checkpoint_check(const struct checkpoint *c, const char *path, struct error *err)
{
    struct model_config model;
    const size_t symbols = c->tokenizer ? c->tokenizer->vocab_size : 0;
    if (config_check(&c->config, path, err) || config_model(&c->config, symbols, &model, path, err))
        return -1;
    if (c->state.micro && !c->grads)
        return fail(err, "%s: a step in hand, but no gradients to save", path);
    struct tensors *expected = tensors_create(&model);
    if (!expected)
        return fail(err, "%s: out of memory", path);
    const int status = checkpoint_fits(c, expected, path, err);
    tensors_destroy(expected);
    return status;
}

size_t checkpoint_arrays(const struct checkpoint *c, const float *arrays[4], const char *names[4])
{
    const float *const all[] = {c->params, c->m, c->v, c->grads};
    static const char *const groups[] = {"params", "adamw/m", "adamw/v", "grads"};
    size_t n = 0;
    for (size_t i = 0; i < 4; i++)
        if (all[i]) {
            arrays[n] = all[i];
            names[n++] = groups[i];
        }
    return n;
}

size_t checkpoint_metadata_size(const struct checkpoint *c)
{
    const float *arrays[4];
    const char *groups[4];
    return checkpoint_arrays(c, arrays, groups) * 480 * c->tensors->count + (16 << 10);
}

size_t checkpoint_size(const struct checkpoint *c)
{
    const float *arrays[4];
    const char *groups[4];
    const size_t tokenizer = c->tokenizer ? 4 * c->tokenizer->vocab_size : 0;
    return checkpoint_arrays(c, arrays, groups) *
               (4 * c->tensors->n_parameters + 80 * c->tensors->count) +
           checkpoint_metadata_size(c) + tokenizer + ((size_t)1 << 20);
}

int checkpoint_write(const struct checkpoint *c, const char *path, struct error *err)
{
    struct snapshot s = {.image.file = -1};
    int status = checkpoint_lay_out(&s, c, path, err);
    if (!status) {
        snapshot_seal(&s);
        status = snapshot_write(&s, path, err);
    }
    snapshot_clear(&s);
    h5_image_free(&s.image);
    return status;
}
