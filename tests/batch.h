/* batch.h: creates batches in calls. */
#pragma once

#include "base/batch.h"

#define BATCH(ids, next, B, T, share) DOCUMENTS(ids, next, NULL, B, T, share)

/* The same, with rows that are divided into documents. */
#define DOCUMENTS(ids, next, starts, B, T, share)                                                  \
    (&(struct batch){.inputs = ids,                                                                \
                     .targets = next,                                                              \
                     .start = starts,                                                              \
                     .weight = share,                                                              \
                     .rows = B,                                                                    \
                     .block_size = T})
