/* diagnosis_trial.c: memory and runs of a diagnosis. Arrays lie between guards, so that a write beyond an end is seen. */
#include "diagnosis_trial.h"
#include <math.h>
#include <stdlib.h>

static const double CANARY = 0x1.badbadp-900;
enum { GUARD = 8 };

static int create_set(struct set *s, const struct bench *b)
{
    for (size_t t = 0; t < b->info->count; t++) {
        if (b->size[t] == 0)
            continue;
        if (!(s->room[t] = malloc((b->size[t] + 2 * GUARD) * sizeof(double))))
            return -1;
        for (size_t i = 0; i < b->size[t] + 2 * GUARD; i++)
            s->room[t][i] = CANARY;
        s->x[t] = s->room[t] + GUARD;
    }
    return 0;
}

static void free_set(struct set *s)
{
    for (size_t t = 0; t < OP_TENSORS_MAX; t++)
        free(s->room[t]);
}

/* The tensor whose guards were written to, or the number of tensors. */
size_t trial_overrun(const struct set *s, const struct bench *b)
{
    for (size_t t = 0; t < b->info->count; t++)
        for (size_t i = 0; b->size[t] && i < GUARD; i++)
            if (s->room[t][i] != CANARY || s->room[t][GUARD + b->size[t] + i] != CANARY)
                return t;
    return b->info->count;
}

/* Scratch holds the same odd numbers in every run: a function that forgets to clear it is still a function. */
static void fill_scratch(struct set *s, const struct bench *b)
{
    uint64_t random = 3;
    for (size_t t = 0; t < b->info->count; t++)
        for (size_t i = 0; b->info->tensors[t].role == ROLE_SCRATCH && i < b->size[t]; i++)
            ((double *)s->x[t])[i] = random_normal(&random);
}

void trial_forward(struct set *s, const struct bench *b, const struct op_code *code, unsigned faults)
{
    for (size_t t = 0; t < b->info->count; t++)
        for (size_t i = 0; i < b->size[t]; i++)
            ((double *)s->x[t])[i] = b->value[t] ? b->value[t][i] : NAN;
    fill_scratch(s, b);
    struct op_case c = b->c;
    c.faults = faults;
    code->call_forward(code->forward, s->x, &c);
}

static double before(uint64_t *random)
{
    return random_normal(random);
}

void trial_backward(struct set *dx, struct set *x, const struct bench *b, const struct op_code *code, unsigned faults)
{
    void *pointers[OP_TENSORS_MAX] = {0};
    uint64_t random = 5;
    for (size_t t = 0; t < b->info->count; t++) {
        const enum role role = b->info->tensors[t].role;
        if (b->size[t] == 0 || role == ROLE_SAVED || role == ROLE_SCRATCH)
            continue;
        pointers[t] = dx->x[t];
        for (size_t i = 0; i < b->size[t]; i++)
            ((double *)dx->x[t])[i] = role == ROLE_OUTPUT ? b->upstream[0][t][i] : before(&random);
    }
    fill_scratch(x, b);
    struct op_case c = b->c;
    c.faults = faults;
    code->call_backward(code->backward, pointers, x->x, &c);
}

/* What stood in the gradient of tensor k before a backward. */
void trial_start(double *start, const struct bench *b, size_t k)
{
    uint64_t random = 5;
    for (size_t s = 0; s <= k; s++)
        for (size_t i = 0; op_differentiable(&b->info->tensors[s]) && i < b->size[s]; i++) {
            const double x = before(&random);
            if (s == k)
                start[i] = x;
        }
}

int trial_create(struct trial *t, const struct gradcheck_subject *s, const struct op_case *c, uint64_t seed)
{
    struct set *const sets[] = {&t->forward, &t->saved, &t->given_forward, &t->right, &t->given, &t->other};
    if (bench_create(&t->b, s, c, seed))
        return -1;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (create_set(sets[i], &t->b))
            return -1;
    const struct op_code *code = &s->code[NUMBER_F64];
    trial_forward(&t->forward, &t->b, code, 0);
    trial_forward(&t->saved, &t->b, code, 0);
    trial_backward(&t->right, &t->saved, &t->b, code, 0);
    return 0;
}

void trial_destroy(struct trial *t)
{
    struct set *const sets[] = {&t->forward, &t->saved, &t->given_forward, &t->right, &t->given, &t->other};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        free_set(sets[i]);
    bench_destroy(&t->b);
}
