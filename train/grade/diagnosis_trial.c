/* diagnosis_trial.c: memory and runs of a diagnosis. Arrays lie between guards, so that what goes beyond an end is seen. */
#include "train/grade/diagnosis_trial.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* As wide as the array and 64 elements more. Not a number, so that what is read there shows too; these bits, so that what is
 * written does. */
static const uint64_t CANARY = 0x7FF8BADBADBADBAD;

static size_t guard(const struct harness *b, size_t t)
{
    return b->size[t] + 64;
}

static int create_set(struct set *s, const struct harness *b)
{
    for (size_t t = 0; t < b->info->count; t++) {
        if (b->size[t] == 0)
            continue;
        const size_t n = b->size[t] + 2 * guard(b, t);
        if (!(s->room[t] = malloc(n * sizeof(double))))
            return -1;
        for (size_t i = 0; i < n; i++)
            memcpy(&s->room[t][i], &CANARY, sizeof CANARY);
        s->x[t] = s->room[t] + guard(b, t);
    }
    return 0;
}

static void free_set(struct set *s)
{
    for (size_t t = 0; t < OP_TENSORS_MAX; t++)
        free(s->room[t]);
}

static bool is_canary(const double *x)
{
    return !memcmp(x, &CANARY, sizeof CANARY);
}

size_t trial_overrun(const struct set *s, const struct harness *b)
{
    for (size_t t = 0; t < b->info->count; t++)
        for (size_t i = 0; b->size[t] && i < guard(b, t); i++)
            if (!is_canary(&s->room[t][i]) || !is_canary(&s->room[t][guard(b, t) + b->size[t] + i]))
                return t;
    return b->info->count;
}

static int copy_symbols(struct trial *t)
{
    const size_t N = t->b.c.B * t->b.c.T;
    if (!(t->symbols = malloc(2 * N * sizeof *t->symbols)))
        return -1;
    memcpy(t->symbols, t->b.ids, N * sizeof *t->symbols);
    memcpy(t->symbols + N, t->b.targets, N * sizeof *t->symbols);
    return 0;
}

bool trial_symbols_kept(const struct trial *t)
{
    const size_t N = t->b.c.B * t->b.c.T;
    return !memcmp(t->symbols, t->b.ids, N * sizeof *t->symbols) &&
           !memcmp(t->symbols + N, t->b.targets, N * sizeof *t->symbols);
}

/* Scratch holds the same odd numbers in every run: a function that forgets to clear it is still a function. */
static void fill_scratch(struct set *s, const struct harness *b)
{
    uint64_t random = 3;
    for (size_t t = 0; t < b->info->count; t++)
        for (size_t i = 0; b->info->tensors[t].role == ROLE_SCRATCH && i < b->size[t]; i++)
            ((double *)s->x[t])[i] = random_normal(&random);
}

void trial_forward(struct set *s, const struct harness *b, const struct op_code *code,
                   const struct op_case *c)
{
    for (size_t t = 0; t < b->info->count; t++)
        for (size_t i = 0; i < b->size[t]; i++)
            ((double *)s->x[t])[i] = b->value[t] ? b->value[t][i] : NAN;
    fill_scratch(s, b);
    code->call_forward(code->forward, s->x, c);
}

static double before(uint64_t *random)
{
    return random_normal(random);
}

void trial_backward(struct set *dx, struct set *x, const struct harness *b,
                    const struct op_code *code, const struct op_case *c)
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
    code->call_backward(code->backward, pointers, x->x, c);
}

/* What stood in the gradient of tensor k before a backward. */
void trial_start(double *start, const struct harness *b, size_t k)
{
    uint64_t random = 5;
    for (size_t s = 0; s <= k; s++)
        for (size_t i = 0; op_differentiable(&b->info->tensors[s]) && i < b->size[s]; i++) {
            const double x = before(&random);
            if (s == k)
                start[i] = x;
        }
}

bool trial_touched(const struct set *dx, const struct harness *b)
{
    uint64_t random = 5;
    bool touched = false;
    for (size_t t = 0; t < b->info->count; t++)
        for (size_t i = 0; op_differentiable(&b->info->tensors[t]) && i < b->size[t]; i++)
            touched |= ((double *)dx->x[t])[i] != before(&random);
    return touched;
}

int trial_create(struct trial *t, const struct gradcheck_subject *s, const struct op_case *c,
                 uint64_t seed)
{
    struct set *const sets[] = {&t->forward, &t->saved, &t->given_forward,
                                &t->right,   &t->given, &t->other};
    if (harness_create(&t->b, s, c, seed) || copy_symbols(t))
        return -1;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (create_set(sets[i], &t->b))
            return -1;
    const struct op_code *code = &s->code[NUMBER_F64];
    trial_forward(&t->forward, &t->b, code, &t->b.c);
    trial_forward(&t->saved, &t->b, code, &t->b.c);
    trial_backward(&t->right, &t->saved, &t->b, code, &t->b.c);
    return 0;
}

void trial_destroy(struct trial *t)
{
    struct set *const sets[] = {&t->forward, &t->saved, &t->given_forward,
                                &t->right,   &t->given, &t->other};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        free_set(sets[i]);
    free(t->symbols);
    harness_destroy(&t->b);
}
