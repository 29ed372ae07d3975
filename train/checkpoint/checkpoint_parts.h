/* checkpoint_parts.h: what the writer and the reader of checkpoints must agree on. */
#ifndef CHECKPOINT_PARTS_H
#define CHECKPOINT_PARTS_H

#include "train/checkpoint/checkpoint.h"

#define CHECKPOINT_FORMAT "handgrad checkpoint"

/* The fields of struct train_state, each an attribute. */
struct state_field {
    const char *name;
    bool is_float; /* double, otherwise uint64_t */
    size_t offset;
};
extern const struct state_field state_fields[];
extern const size_t state_field_count;

/* What a reader would refuse must not be written. */
int checkpoint_check(const struct checkpoint *c, const char *path, struct error *err);
/* The groups of tensors, in the order in which they lie in the file; returns how many there are. */
size_t checkpoint_arrays(const struct checkpoint *c, const float *arrays[4], const char *names[4]);
/* What HDF5 itself takes: about 440 bytes a tensor, for its object header and link. */
size_t checkpoint_metadata_size(const struct checkpoint *c);

#endif
