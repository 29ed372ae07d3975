/* diagnosis_trial.c: see diagnosis_trial.h. */
#include "train/grade/diagnosis_trial.h"
#include <stdlib.h>
#include <string.h>

/* Guards are as wide as the array plus 64 elements. They hold a NaN, so that reading them shows in
 * the results; its bits show whether they were overwritten. */
static const uint64_t CANARY = 0x7FF8BADBADBADBAD;

enum { SCRATCH_SEED = 3, GRADIENT_SEED = 5 };

static size_t guard(const struct harness *h, size_t t)
{
    return h->size[t] + 64;
}

static int create_set(struct set *s, const struct harness *h)
{
    for (size_t t = 0; t < h->info->count; t++) {
        if (h->size[t] == 0)
            continue;
        const size_t n = h->size[t] + 2 * guard(h, t);
        if (!(s->memory[t] = malloc(n * sizeof(double))))
            return -1;
        for (size_t i = 0; i < n; i++)
            memcpy(&s->memory[t][i], &CANARY, sizeof CANARY);
        s->x[t] = s->memory[t] + guard(h, t);
    }
    return 0;
}

static bool is_canary(const double *x)
{
    return !memcmp(x, &CANARY, sizeof CANARY);
}

size_t trial_overrun(const struct set *s, const struct harness *h)
{
    for (size_t t = 0; t < h->info->count; t++)
        for (size_t i = 0; h->size[t] && i < guard(h, t); i++)
            if (!is_canary(&s->memory[t][i]) ||
                !is_canary(&s->memory[t][guard(h, t) + h->size[t] + i]))
                return t;
    return h->info->count;
}

static int copy_symbols(struct trial *t)
{
    const size_t N = t->h.c.B * t->h.c.T;
    if (!(t->symbols = malloc(2 * N * sizeof *t->symbols)))
        return -1;
    memcpy(t->symbols, t->h.ids, N * sizeof *t->symbols);
    memcpy(t->symbols + N, t->h.targets, N * sizeof *t->symbols);
    return 0;
}

bool trial_symbols_kept(const struct trial *t)
{
    const size_t N = t->h.c.B * t->h.c.T;
    return !memcmp(t->symbols, t->h.ids, N * sizeof *t->symbols) &&
           !memcmp(t->symbols + N, t->h.targets, N * sizeof *t->symbols);
}

/* Scratch holds the same random numbers in every run, so that a backward that does not clear it is
 * still a function of its arguments. */
static void fill_scratch(struct set *s, const struct harness *h)
{
    uint64_t random = SCRATCH_SEED;
    for (size_t t = 0; t < h->info->count; t++)
        for (size_t i = 0; h->info->tensors[t].role == ROLE_SCRATCH && i < h->size[t]; i++)
            ((double *)s->x[t])[i] = random_normal(&random);
}

static void forward(struct set *s, const struct harness *h, const struct op_code *code)
{
    for (size_t t = 0; t < h->info->count; t++)
        for (size_t i = 0; i < h->size[t]; i++)
            ((double *)s->x[t])[i] = h->value[t] ? h->value[t][i] : NAN;
    fill_scratch(s, h);
    code->call_forward(code->forward, s->x, &h->c);
}

/* Random numbers as gradients of inputs and parameters; the upstream gradient as those of
 * outputs. */
static void draw_start(struct trial *t)
{
    uint64_t random = GRADIENT_SEED;
    for (size_t k = 0; k < t->h.info->count; k++) {
        const struct op_tensor *tensor = &t->h.info->tensors[k];
        double *x = t->start.x[k];
        for (size_t i = 0; op_differentiable(tensor) && i < t->h.size[k]; i++)
            x[i] = random_normal(&random);
        if (tensor->role == ROLE_OUTPUT)
            memcpy(x, t->h.upstream[0][k], t->h.size[k] * sizeof *x);
    }
}

static void backward(struct trial *t, struct set *dx, const struct op_code *code)
{
    const struct harness *h = &t->h;
    void *pointers[OP_TENSORS_MAX] = {0};
    for (size_t k = 0; k < h->info->count; k++) {
        const struct op_tensor *tensor = &h->info->tensors[k];
        if (h->size[k] && (tensor->role == ROLE_OUTPUT || op_differentiable(tensor)))
            pointers[k] = memcpy(dx->x[k], t->start.x[k], h->size[k] * sizeof(double));
    }
    fill_scratch(&t->saved, h);
    code->call_backward(code->backward, pointers, t->saved.x, &h->c);
}

void trial_run(struct trial *t, struct set *out, const struct op_code *code, enum direction way)
{
    if (way == BACKWARD)
        backward(t, out, code);
    else
        forward(out, &t->h, code);
}

bool trial_touched(const struct trial *t)
{
    bool touched = false;
    for (size_t k = 0; k < t->h.info->count; k++)
        touched |= op_differentiable(&t->h.info->tensors[k]) && t->h.size[k] &&
                   memcmp(t->given[BACKWARD].x[k], t->start.x[k], t->h.size[k] * sizeof(double));
    return touched;
}

enum { SETS = sizeof((struct trial *)0)->sets / sizeof(struct set) };

int trial_create(struct trial *t, const struct gradcheck_subject *s, const struct op_case *c,
                 uint64_t seed)
{
    if (harness_create(&t->h, s, c, seed) || copy_symbols(t))
        return -1;
    for (size_t i = 0; i < SETS; i++)
        if (create_set(&t->sets[i], &t->h))
            return -1;
    op_describe(t->sizes, sizeof t->sizes, t->h.info, &t->h.c);
    const struct op_code *code = &s->code[NUMBER_F64];
    forward(&t->right[FORWARD], &t->h, code);
    forward(&t->saved, &t->h, code);
    draw_start(t);
    backward(t, &t->right[BACKWARD], code);
    return 0;
}

void trial_destroy(struct trial *t)
{
    for (size_t i = 0; i < SETS; i++)
        for (size_t k = 0; k < OP_TENSORS_MAX; k++)
            free(t->sets[i].memory[k]);
    free(t->symbols);
    harness_destroy(&t->h);
}
