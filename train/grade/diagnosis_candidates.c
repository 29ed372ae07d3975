/* diagnosis_candidates.c: see diagnosis_candidates.h. */
#include "train/grade/diagnosis_candidates.h"
#include <stdio.h>
#include <string.h>

const char *op_symbol(enum op op)
{
    return op == OP_GELU_TANH || op == OP_GELU_ERF ? "gelu" : op_info[op].name;
}

/* Do calls of b run a's function? Both forms of gelu share one. */
static bool same_function(enum op a, enum op b)
{
    return !strcmp(op_symbol(a), op_symbol(b));
}

static void add(struct candidate *list, size_t *count, const struct mistake *m, unsigned part)
{
    if (*count < CANDIDATES_MAX)
        list[(*count)++] = (struct candidate){m, part};
}

size_t candidates_of(struct candidate list[CANDIDATES_MAX], enum op op)
{
    size_t count = 0;
    for (size_t i = 0; i < mistakes_count; i++)
        if (mistakes[i].op == op)
            add(list, &count, &mistakes[i], PART_ITSELF);
    for (size_t i = 0; i < mistakes_count; i++) {
        size_t places = 0;
        for (unsigned part = 0; part < OP_PARTS && mistakes[i].op != OPS; part++) {
            if (!op_has_part(op, part))
                continue;
            places += same_function(op_part_info[part].op, mistakes[i].op);
            if (op_part_info[part].op == mistakes[i].op)
                add(list, &count, &mistakes[i], part);
        }
        if (places > 1)
            add(list, &count, &mistakes[i], PART_EVERY);
    }
    return count;
}

void candidate_plant(struct op_case *c, const struct candidate *candidate)
{
    const struct mistake *m = candidate->mistake;
    if (candidate->part == PART_ITSELF)
        c->faults |= m->faults;
    for (unsigned part = 0; part < OP_PARTS; part++)
        if (part == candidate->part ||
            (candidate->part == PART_EVERY && same_function(op_part_info[part].op, m->op)))
            c->part_faults[part] |= m->faults;
}

void candidate_name(char *text, size_t size, const struct candidate *candidate)
{
    const struct mistake *m = candidate->mistake;
    if (candidate->part == PART_ITSELF)
        snprintf(text, size, "\"%s\"", m->name);
    else if (candidate->part == PART_EVERY)
        snprintf(text, size, "\"%s\" in every %s", m->name, op_symbol(m->op));
    else
        snprintf(text, size, "\"%s\" in %s", m->name, op_part_info[candidate->part].name);
}
