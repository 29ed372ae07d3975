/* diagnosis_trial.c: see diagnosis_trial.h. */
#include "train/grade/diagnosis_trial.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Guards are as wide as the array plus 64 elements. They hold a NaN, so that reading them shows in
 * the results; its bits show whether they were overwritten. */
static const uint64_t CANARY = 0x7FF8BADBADBADBAD;

enum { SCRATCH_SEED = 3, GRADIENT_SEED = 5 };
enum { SHARED = sizeof((struct trial *)0)->shared / sizeof(struct set) };
enum { OWN = sizeof((struct trial *)0)->own / sizeof(struct set) };

static void *shared_memory(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static size_t guard(const struct harness *h, size_t t)
{
    return h->size[t] + 64;
}

static int create_set(struct set *s, const struct harness *h, bool shared)
{
    s->length = 1;
    for (size_t t = 0; t < h->info->count; t++)
        if (h->size[t])
            s->length += h->size[t] + 2 * guard(h, t);
    const size_t bytes = s->length * sizeof(double);
    if (!(s->memory = shared ? shared_memory(bytes) : malloc(bytes)))
        return -1;
    for (size_t i = 0; i < s->length; i++)
        memcpy(&s->memory[i], &CANARY, sizeof CANARY);
    double *next = s->memory;
    for (size_t t = 0; t < h->info->count; t++)
        if (h->size[t]) {
            s->x[t] = next + guard(h, t);
            next += h->size[t] + 2 * guard(h, t);
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
            if (!is_canary((double *)s->x[t] - guard(h, t) + i) ||
                !is_canary((double *)s->x[t] + h->size[t] + i))
                return t;
    return h->info->count;
}

/* --- ids, targets and starts --- */

static size_t symbols(const struct trial *t)
{
    return t->h.c.B * t->h.c.T;
}

static int share_symbols(struct trial *t)
{
    const size_t N = symbols(t), bytes = N * sizeof(uint32_t);
    uint32_t *copy = shared_memory(3 * bytes);
    t->given_c = t->h.c;
    t->given_c.ids = copy;
    if (!copy)
        return -1;
    memcpy(copy, t->h.c.ids, bytes);
    t->given_c.targets = memcpy(copy + N, t->h.c.targets, bytes);
    if (t->h.c.start)
        t->given_c.start = memcpy(copy + 2 * N, t->h.c.start, bytes);
    return 0;
}

bool trial_symbols_kept(const struct trial *t)
{
    const size_t bytes = symbols(t) * sizeof(uint32_t);
    return !memcmp(t->given_c.ids, t->h.c.ids, bytes) &&
           !memcmp(t->given_c.targets, t->h.c.targets, bytes) &&
           (!t->h.c.start || !memcmp(t->given_c.start, t->h.c.start, bytes));
}

/* --- running --- */

/* Scratch holds the same random numbers in every run, so that a backward that does not clear it is
 * still a function of its arguments. */
static void fill_scratch(struct set *s, const struct harness *h)
{
    uint64_t random = SCRATCH_SEED;
    for (size_t t = 0; t < h->info->count; t++)
        for (size_t i = 0; h->info->tensors[t].role == ROLE_SCRATCH && i < h->size[t]; i++)
            ((double *)s->x[t])[i] = random_normal(&random);
}

/* Inputs and scratch; NaN elsewhere. */
static void prepare_forward(const struct trial *t, struct set *out)
{
    for (size_t k = 0; k < t->h.info->count; k++)
        for (size_t i = 0; i < t->h.size[k]; i++)
            ((double *)out->x[k])[i] = t->h.value[k] ? t->h.value[k][i] : NAN;
    fill_scratch(out, &t->h);
}

/* A backward reads what the right forward left behind, but for the outputs that it writes itself:
 * those of the loss. */
static void prepare_backward(const struct trial *t, struct set *dx, struct set *read)
{
    for (size_t k = 0; k < t->h.info->count; k++) {
        const struct op_tensor *tensor = &t->h.info->tensors[k];
        const size_t bytes = t->h.size[k] * sizeof(double);
        if (!bytes)
            continue;
        memcpy(read->x[k], t->right[FORWARD].x[k], bytes);
        if (tensor->role == ROLE_OUTPUT && t->h.info == &op_info[OP_LOSS])
            for (size_t i = 0; i < t->h.size[k]; i++)
                ((double *)read->x[k])[i] = NAN;
        if (tensor->role == ROLE_OUTPUT || op_differentiable(tensor))
            memcpy(dx->x[k], t->start.x[k], bytes);
    }
    fill_scratch(read, &t->h);
}

static void call_backward(const struct harness *h, const struct op_code *code, const struct set *dx,
                          const struct set *read, const struct op_case *c)
{
    void *pointers[OP_TENSORS_MAX] = {0};
    for (size_t k = 0; k < h->info->count; k++) {
        const struct op_tensor *tensor = &h->info->tensors[k];
        if (h->size[k] && (tensor->role == ROLE_OUTPUT || op_differentiable(tensor)))
            pointers[k] = dx->x[k];
    }
    code->call_backward(code->backward, pointers, read->x, c);
}

void trial_run(struct trial *t, struct set *out, const struct op_code *code, enum direction way)
{
    if (way == BACKWARD) {
        prepare_backward(t, out, &t->read);
        call_backward(&t->h, code, out, &t->read, &t->h.c);
    } else {
        prepare_forward(t, out);
        code->call_forward(code->forward, out->x, &t->h.c);
    }
}

void trial_prepare(struct trial *t, enum direction way, bool again)
{
    struct set *out = again ? &t->again : &t->given[way];
    if (way == BACKWARD)
        prepare_backward(t, out, &t->lent);
    else
        prepare_forward(t, out);
}

void trial_call(const struct trial *t, const struct op_code *code, enum direction way, bool again)
{
    const struct set *out = again ? &t->again : &t->given[way];
    if (way == BACKWARD)
        call_backward(&t->h, code, out, &t->lent, &t->given_c);
    else
        code->call_forward(code->forward, out->x, &t->given_c);
}

bool trial_touched(const struct trial *t)
{
    bool touched = false;
    for (size_t k = 0; k < t->h.info->count; k++)
        touched |= op_differentiable(&t->h.info->tensors[k]) && t->h.size[k] &&
                   memcmp(t->given[BACKWARD].x[k], t->start.x[k], t->h.size[k] * sizeof(double));
    return touched;
}

/* --- creating --- */

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

int trial_create(struct trial *t, const struct gradcheck_subject *s, const struct op_case *c,
                 uint64_t seed)
{
    if (harness_create(&t->h, s, c, seed) || share_symbols(t))
        return -1;
    for (size_t i = 0; i < SHARED; i++)
        if (create_set(&t->shared[i], &t->h, true))
            return -1;
    op_describe(t->sizes, sizeof t->sizes, t->h.info, &t->h.c);
    return 0;
}

int trial_complete(struct trial *t)
{
    const struct op_code *code = &t->h.subject->code[NUMBER_F64];
    for (size_t i = 0; i < OWN; i++)
        if (create_set(&t->own[i], &t->h, false))
            return -1;
    if (create_set(&t->read, &t->h, false))
        return -1;
    trial_run(t, &t->right[FORWARD], code, FORWARD);
    draw_start(t);
    trial_run(t, &t->right[BACKWARD], code, BACKWARD);
    return 0;
}

void trial_destroy(struct trial *t)
{
    for (size_t i = 0; i < SHARED; i++)
        if (t->shared[i].memory)
            munmap(t->shared[i].memory, t->shared[i].length * sizeof(double));
    for (size_t i = 0; i < OWN; i++)
        free(t->own[i].memory);
    free(t->read.memory);
    if (t->given_c.ids)
        munmap((void *)t->given_c.ids, 3 * symbols(t) * sizeof(uint32_t));
    harness_destroy(&t->h);
}
