/* hook.h: a visitor of a pass through the model, for finding what goes wrong in it, and for tests that make it go wrong. */
#ifndef HOOK_H
#define HOOK_H

#include "model/real.h"
#include <stddef.h>

#define gpt_hook TYPE(gpt_hook)
#define gpt      TYPE(gpt)

/* The parts of a forward and of a backward, in the order in which they end. */
enum gpt_part {
    PART_EMBEDDING, /* g->embedded */
    PART_BLOCK,     /* g->blocks[layer] */
    PART_LN_F,      /* g->ln_f */
    PART_LOSS,      /* g->losses; in a backward also g->dln_f and the gradient of wte */
    PART_LN_F_BACKWARD,
    PART_BLOCK_BACKWARD, /* g->dw[layer], g->dstream */
    PART_EMBEDDING_BACKWARD
};

struct gpt;
struct gpt_hook {
    /* Right after a part, while all that it wrote is in place. layer is 0 outside the blocks. */
    void (*visit)(struct gpt_hook *hook, struct gpt *g, enum gpt_part part, size_t layer);
};

#endif
