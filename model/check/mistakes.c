/* mistakes.c: which planted mistakes are switched on at which call.
 *
 * A composition calls the same function at several places: a block has two LayerNorms. Forwards
 * call their parts in the order of op_places, backwards in reverse order, so counting the calls of
 * an operation since its composition was entered tells the place.
 */
#include "model/check/mistakes.h"
#include <string.h>

static _Thread_local struct {
    bool planted_before; /* op and places are valid */
    enum op op;
    struct op_place places[OP_PLACES_MAX];
    size_t place_count;
    const struct planted *planted;
    size_t n;
    unsigned calls[OPS]; /* since op was entered */
} here;

void mistakes_plant(enum op op, const struct planted *planted, size_t n)
{
    if (!here.planted_before || op != here.op)
        here.place_count = op_places(here.places, op);
    here.planted_before = true;
    here.op = op;
    here.planted = planted;
    here.n = n;
}

/* How many of the first n places are calls of this operation. */
static unsigned count_calls(size_t n, enum op op)
{
    unsigned count = 0;
    for (size_t i = 0; i < n; i++)
        count += here.places[i].op == op;
    return count;
}

static bool same_function(enum op a, enum op b)
{
    return !strcmp(op_info[a].function, op_info[b].function);
}

struct mistakes_made mistakes_enter(enum op op, bool backward)
{
    struct mistakes_made made = {0, backward};
    if (here.n == 0)
        return made;
    if (op == here.op)
        memset(here.calls, 0, sizeof here.calls);
    const unsigned nth = here.calls[op]++,
                   call = backward ? count_calls(here.place_count, op) - 1 - nth : nth;
    for (size_t i = 0; i < here.n; i++) {
        const struct planted *p = &here.planted[i];
        if (p->place == EVERY_PLACE ? same_function(p->mistake->op, op)
                                    : p->mistake->op == op && count_calls(p->place, op) == call)
            made.bits |= (uint64_t)1 << p->mistake->bit;
    }
    return made;
}
