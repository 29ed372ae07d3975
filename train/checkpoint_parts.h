/* checkpoint_parts.h: what the writer and the reader of checkpoints must agree on. */
#ifndef CHECKPOINT_PARTS_H
#define CHECKPOINT_PARTS_H

#include "checkpoint.h"

#define CHECKPOINT_FORMAT "handgrad checkpoint"

/* The fields of struct train_state, each an attribute. */
struct state_field {
    const char *name;
    bool is_float; /* double, otherwise uint64_t */
    size_t offset;
};
extern const struct state_field state_fields[];
extern const size_t state_field_count;

#endif
