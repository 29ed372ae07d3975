/* diagnosis_candidates.c: see diagnosis_candidates.h. */
#include "train/grade/diagnosis_candidates.h"
#include <stdio.h>
#include <string.h>

static void add(struct planted *list, size_t *count, const struct mistake *m, int place)
{
    if (*count < CANDIDATES_MAX)
        list[(*count)++] = (struct planted){m, place};
}

size_t candidates_of(struct planted list[CANDIDATES_MAX], enum op op)
{
    struct op_place places[OP_PLACES_MAX];
    const size_t n = op_places(places, op);
    size_t count = 0;
    for (size_t i = 0; i < mistakes_count; i++)
        if (mistakes[i].op == op)
            add(list, &count, &mistakes[i], 0);
    for (size_t i = 0; i < mistakes_count; i++) {
        const char *function = op_info[mistakes[i].op].function;
        size_t calls = 0;
        for (size_t p = 1; p < n; p++) {
            calls += !strcmp(op_info[places[p].op].function, function);
            if (places[p].op == mistakes[i].op)
                add(list, &count, &mistakes[i], p);
        }
        if (calls > 1)
            add(list, &count, &mistakes[i], EVERY_PLACE);
    }
    return count;
}

void candidate_name(char *text, size_t size, enum op op, const struct planted *candidate)
{
    struct op_place places[OP_PLACES_MAX];
    op_places(places, op);
    const struct mistake *m = candidate->mistake;
    if (candidate->place == 0)
        snprintf(text, size, "\"%s\"", m->name);
    else if (candidate->place == EVERY_PLACE)
        snprintf(text, size, "\"%s\" in every %s", m->name, op_info[m->op].function);
    else
        snprintf(text, size, "\"%s\" in %s", m->name, places[candidate->place].name);
}
