/* checkpoint_parts.h: what the writer and the reader of checkpoints share. */
#pragma once

#include "train/checkpoint/checkpoint.h"
#include <stddef.h>
#include <stdio.h>

#define CHECKPOINT_FORMAT "handgrad checkpoint"

#define COUNT(NAME)                                                                                \
    {                                                                                              \
#NAME, false, offsetof(struct train_state, NAME), false                                    \
    }
#define LATER(NAME)                                                                                \
    {                                                                                              \
#NAME, false, offsetof(struct train_state, NAME), true                                     \
    }
#define NUMBER(NAME)                                                                               \
    {                                                                                              \
#NAME, true, offsetof(struct train_state, NAME), false                                     \
    }

/* The fields of struct train_state that are stored as one attribute each. */
static const struct state_field {
    const char *name;
    bool is_float; /* double, otherwise uint64_t */
    size_t offset;
    bool later; /* absent from older files, where it is 0 */
} state_fields[] = {
    COUNT(step),           LATER(tokens),           COUNT(micro),
    NUMBER(micro_loss),    NUMBER(smoothed_loss),   NUMBER(val_loss),
    NUMBER(best_val_loss), COUNT(val_step),         COUNT(best_step),
    COUNT(updates),        COUNT(skipped),          COUNT(skipped_in_row),
    COUNT(spikes),         COUNT(rollbacks),        COUNT(rolled_back_from),
    COUNT(rolled_back_to), COUNT(batch_shift),      LATER(row_shift),
    LATER(documents),      LATER(evals_since_best),
};
static const size_t state_field_count = sizeof state_fields / sizeof *state_fields;

#undef COUNT
#undef LATER
#undef NUMBER

/* The size of the tokenizer's vocabulary; 0 without a tokenizer. */
static inline size_t checkpoint_symbols(const struct checkpoint *c)
{
    return c->tokenizer ? c->tokenizer->vocab_size : 0;
}

enum { CRC_LINE_MAX = 128 };
/* Formats a line of the dataset "crc32". Returns its length. */
static inline size_t crc_line(char line[CRC_LINE_MAX], unsigned crc, const char *group,
                              const char *name)
{
    return (size_t)snprintf(line, CRC_LINE_MAX, "%08x  %s/%s\n", crc, group, name);
}
