/* harness.c: memory, random numbers and calls of a check. */
#include "model/check/harness.h"
#include "base/batch.h"
#include <complex.h>
#include <stdlib.h>

size_t number_size(enum number n)
{
    static const size_t sizes[NUMBERS] = {sizeof(float), sizeof(double), sizeof(double complex),
                                          sizeof(float)};
    return sizes[n];
}

double number_get(enum number n, const void *array, size_t i)
{
    switch (number_size(n)) {
    case sizeof(float):
        return ((const float *)array)[i];
    case sizeof(double):
        return ((const double *)array)[i];
    default:
        return creal(((const double complex *)array)[i]);
    }
}

void number_put(enum number n, void *array, size_t i, double re, double im)
{
    switch (number_size(n)) {
    case sizeof(float):
        ((float *)array)[i] = re;
        break;
    case sizeof(double):
        ((double *)array)[i] = re;
        break;
    default:
        ((double complex *)array)[i] = __builtin_complex(re, im);
    }
}

uint64_t random_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

double random_normal(uint64_t *state)
{
    const double u = ((random_bits(state) >> 11) + 1) * 0x1p-53,
                 v = (random_bits(state) >> 11) * 0x1p-53;
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

void random_direction(double *v, size_t n, uint64_t *state)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        v[i] = random_normal(state);
        sum += v[i] * v[i];
    }
    for (size_t i = 0; i < n; i++)
        v[i] /= sqrt(sum);
}

/* Inputs have deviation 1, gains lie around 1 and other parameters are half as wide, so that every
 * term of a derivative has about the same weight. All are floats, so that all builds start from the
 * same numbers and x + h is exact. */
static float draw(const struct op_tensor *t, uint64_t *state)
{
    const double z = random_normal(state);
    return (float)(t->role != ROLE_PARAMETER ? z : t->is_gain ? 1 + 0.3 * z : 0.5 * z);
}

static double *allocate_drawn(const struct op_tensor *t, size_t n, uint64_t *state)
{
    double *v = malloc(n * sizeof *v);
    for (size_t i = 0; v && i < n; i++)
        v[i] = draw(t, state);
    return v;
}

static int create_tensor(struct harness *h, size_t k, uint64_t *state)
{
    const struct op_tensor *t = &h->info->tensors[k];
    const size_t n = h->size[k] = op_size(t, &h->c);
    if (n == 0)
        return 0;
    for (enum number type = 0; type < NUMBERS; type++)
        if (!(h->x[type][k] = calloc(n, number_size(type))))
            return -1;
    if (op_differentiable(t) && !(h->value[k] = allocate_drawn(t, n, state)))
        return -1;
    for (size_t s = 0; t->role == ROLE_OUTPUT && s < UPSTREAMS; s++)
        if (!(h->upstream[s][k] = allocate_drawn(t, n, state)))
            return -1;
    return 0;
}

/* Symbols below V. The first and the last symbol occur, and one occurs twice. */
static uint32_t *draw_symbols(size_t N, size_t V, uint64_t *state)
{
    uint32_t *ids = malloc(N * sizeof *ids);
    if (!ids)
        return NULL;
    for (size_t n = 0; n < N; n++)
        ids[n] = V ? random_bits(state) % V : 0;
    if (V && N > 2) {
        ids[N - 1] = ids[0];
        ids[1] = V - 1;
        ids[N / 2] = 0;
    }
    return ids;
}

uint32_t *draw_documents(size_t B, size_t T, size_t document, uint32_t *targets, uint64_t *random)
{
    uint32_t *start = malloc(B * T * sizeof *start);
    for (size_t n = 0; start && n < B * T; n++) {
        const size_t t = n % T;
        const bool begins = t > 0 && (random_bits(random) % document == 0 || t == T / 2);
        start[n] = t == 0 || begins ? t : start[n - 1];
        if (begins)
            targets[n - 1] = NO_TARGET;
    }
    return start;
}

int harness_create(struct harness *h, const struct gradcheck_subject *s, const struct op_case *c,
                   uint64_t seed)
{
    *h = (struct harness){.subject = s, .info = &op_info[s->op], .c = *c};
    const size_t N = c->B * c->T;
    h->c.ids = h->ids = draw_symbols(N, c->V, &seed);
    h->c.targets = h->targets = draw_symbols(N, c->V, &seed);
    if (!h->ids || !h->targets)
        return -1;
    if (c->document &&
        !(h->c.start = h->start = draw_documents(c->B, c->T, c->document, h->targets, &seed)))
        return -1;
    size_t largest = 0;
    for (size_t k = 0; k < h->info->count; k++) {
        if (create_tensor(h, k, &seed))
            return -1;
        largest = h->size[k] > largest ? h->size[k] : largest;
    }
    h->direction = malloc(largest * sizeof *h->direction);
    return h->direction ? 0 : -1;
}

void harness_destroy(struct harness *h)
{
    free(h->ids);
    free(h->targets);
    free(h->start);
    free(h->direction);
    for (size_t k = 0; k < OP_TENSORS_MAX; k++) {
        free(h->value[k]);
        for (size_t s = 0; s < UPSTREAMS; s++)
            free(h->upstream[s][k]);
        for (enum number n = 0; n < NUMBERS; n++)
            free(h->x[n][k]);
    }
}

bool harness_degenerate(const struct harness *h)
{
    return h->c.C == 1 && h->subject->op == OP_LAYERNORM;
}

void harness_poison(struct harness *h, enum number n, enum role role)
{
    for (size_t k = 0; k < h->info->count; k++)
        if (h->info->tensors[k].role == role)
            for (size_t i = 0; i < h->size[k]; i++)
                number_put(n, h->x[n][k], i, NAN, NAN);
}

void harness_reset(struct harness *h, enum number n)
{
    for (size_t k = 0; k < h->info->count; k++)
        for (size_t i = 0; h->value[k] && i < h->size[k]; i++)
            number_put(n, h->x[n][k], i, h->value[k][i], 0);
    harness_poison(h, n, ROLE_OUTPUT);
    harness_poison(h, n, ROLE_SAVED);
    harness_poison(h, n, ROLE_SCRATCH);
}

static void plant(const struct gradcheck_subject *s)
{
    mistakes_plant(s->op, &s->planted, s->planted.mistake ? 1 : 0);
}

void harness_forward(struct harness *h, enum number n)
{
    const struct op_code *code = &h->subject->code[n];
    plant(h->subject);
    code->call_forward(code->forward, h->x[n], &h->c);
}

void harness_backward(struct harness *h, enum number n, void *const *dx)
{
    const struct op_code *code = &h->subject->code[n];
    plant(h->subject);
    code->call_backward(code->backward, dx, h->x[n], &h->c);
}
