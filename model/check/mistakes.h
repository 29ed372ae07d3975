/* mistakes.h: planted mistakes: what people write who derive these gradients by hand. The checker
 * is checked with them, and a student's function is compared with them to name its mistake.
 *
 * Each mistake is one entry of model/check/mistakes/FUNCTION.txt: an edit of the textbook version
 * (model/plain). generate.awk makes of both the table below, and versions of the operations whose
 * edits are switched on by mistakes_plant. Mistakes in how the whole model is put together are
 * functions (mistakes_model.c).
 */
#pragma once

#include "model/check/ops.h"
#include "model/model_code.h"

struct mistake {
    enum op op;
    unsigned bit; /* its switch among those of the same function */
    const char *id, *name;
    const char *why; /* people make it, or what it does */
};

extern const struct mistake mistakes[];
extern const size_t mistakes_count;

/* A mistake at a place of an operation: an index into op_places, 0 for the operation itself, or
 * EVERY_PLACE for all calls of the mistake's function. */
enum { EVERY_PLACE = -1 };
struct planted {
    const struct mistake *mistake;
    int place;
};

/* Switches on n mistakes in `op` for the following calls by this thread of the mistaken versions.
 * The array must stay valid. */
void mistakes_plant(enum op op, const struct planted *planted, size_t n);

/* For the mistaken versions: which switches are on in this call of an operation. */
struct mistakes_made {
    uint64_t bits;
    bool backward;
};
struct mistakes_made mistakes_enter(enum op op, bool backward);

/* Mistakes of the whole model: each takes the place of loss_and_grads. */
struct model_mistake {
    void (*loss_and_grads)(double loss[2], void *model, const struct batch *batch,
                           const struct dropout *d);
    const char *name, *why;
};

enum { MODEL_MISTAKES = 10 };
extern const struct model_mistake model_mistakes_f32[MODEL_MISTAKES],
    model_mistakes_f64[MODEL_MISTAKES];
