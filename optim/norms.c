/* norms.c: one pass over memory per norm. Threads sum blocks of fixed length, and the blocks' sums
 * are added in order, so results do not depend on the number of threads.
 *
 * With u = lr m^ / (sqrt(v^) + eps) and d = 1 - lr lambda, an update is theta' = d theta - u. It
 * added
 *
 *     theta' - theta = theta' - (theta' + u) / d = theta' (1 - 1/d) - u / d
 */
#include "optim/norms.h"
#include "base/minmax.h"
#include "model/real.h"

enum { BLOCKS = 256, BLOCK = 4096 };

static size_t block_size(size_t n)
{
    return size_max(BLOCK, ceil_div(n, BLOCKS));
}

static double sum_of(const double parts[BLOCKS])
{
    double total = 0;
    for (size_t b = 0; b < BLOCKS; b++)
        total += parts[b];
    return total;
}

/* Prefetches 8 KB ahead: hardware prefetching alone reads a third slower. */
static double sum_of_squares(const real *x, size_t n)
{
    enum { PIECE = 256, LINE = 64 / sizeof(real), AHEAD = 8192 / sizeof(real) };
    double total = 0;
    for (size_t begin = 0; begin < n; begin += PIECE) {
        const size_t end = size_min(n, begin + PIECE);
        for (size_t i = begin; i < end; i += LINE)
            __builtin_prefetch(x + i + AHEAD);
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t i = begin; i < end; i++)
            sum += (double)x[i] * (double)x[i];
        total += sum;
    }
    return total;
}

static double tensor_squares(const real *array, const struct tensor *t)
{
    const size_t size = block_size(t->size);
    double parts[BLOCKS] = {0};
#pragma omp parallel for
    for (size_t i = 0; i < t->size; i += size)
        parts[i / size] = sum_of_squares(array + t->offset + i, size_min(t->size - i, size));
    return sum_of(parts);
}

double tensor_norm(const real *array, const struct tensor *t)
{
    return sqrt(tensor_squares(array, t));
}

double gradient_norm(const real *grads, const struct tensors *tensors)
{
    double total = 0;
    for (size_t k = 0; k < tensors->count; k++)
        total += tensor_squares(grads, &tensors->list[k]);
    return sqrt(total);
}

double adamw_update_norm(const real *params, const real *m, const real *v, const struct tensor *t,
                         const struct adamw *o, double lr, uint64_t step)
{
    const double decay = t->decays ? 1 - lr * o->weight_decay : 1,
                 step_size = lr / (1 - pow(o->beta1, (double)step)),
                 root = 1 / sqrt(1 - pow(o->beta2, (double)step));
    const size_t size = block_size(t->size);
    double parts[BLOCKS] = {0};
#pragma omp parallel for
    for (size_t begin = 0; begin < t->size; begin += size) {
        const size_t end = size_min(t->size, begin + size);
        const real *p = params + t->offset, *mean = m + t->offset, *square = v + t->offset;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t i = begin; i < end; i++) {
            const double u =
                step_size * (double)mean[i] / (sqrt((double)square[i]) * root + o->eps);
            const double added = (double)p[i] * (1 - 1 / decay) - u / decay;
            sum += added * added;
        }
        parts[begin / size] = sum;
    }
    return sqrt(sum_of(parts));
}
