/* norms.c: one pass over memory for each norm, in blocks of fixed length, each by one thread, then the blocks in order: they do not
 * depend on the number of threads.
 *
 * With u = lr m^ / (sqrt(v^) + eps) and the decay d = 1 - lr lambda, an update is theta' = d theta - u. What it added:
 *
 *     theta' - theta = theta' - (theta' + u) / d = theta' (1 - 1/d) - u / d
 */
#include "norms.h"

enum { BLOCKS = 256, BLOCK = 4096 };

static size_t block_size(size_t n)
{
    return n < (size_t)BLOCK * BLOCKS ? BLOCK : (n + BLOCKS - 1) / BLOCKS;
}

static double root_of_sum(const double parts[BLOCKS])
{
    double total = 0;
    for (size_t b = 0; b < BLOCKS; b++)
        total += parts[b];
    return sqrt(total);
}

double tensor_norm(const real *array, const struct tensor *t)
{
    const size_t size = block_size(t->size);
    double parts[BLOCKS] = {0};
#pragma omp parallel for
    for (size_t begin = 0; begin < t->size; begin += size) {
        const size_t end = t->size - begin < size ? t->size : begin + size;
        const real *x = array + t->offset;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t i = begin; i < end; i++)
            sum += (double)x[i] * (double)x[i];
        parts[begin / size] = sum;
    }
    return root_of_sum(parts);
}

double adamw_update_norm(const real *params, const real *m, const real *v, const struct tensor *t, const struct adamw *o,
                         double lr, uint64_t step)
{
    const double decay = t->decays ? 1 - lr * o->weight_decay : 1, step_size = lr / (1 - pow(o->beta1, (double)step)),
                 root = 1 / sqrt(1 - pow(o->beta2, (double)step));
    const size_t size = block_size(t->size);
    double parts[BLOCKS] = {0};
#pragma omp parallel for
    for (size_t begin = 0; begin < t->size; begin += size) {
        const size_t end = t->size - begin < size ? t->size : begin + size;
        const real *p = params + t->offset, *mean = m + t->offset, *square = v + t->offset;
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (size_t i = begin; i < end; i++) {
            const double u = step_size * (double)mean[i] / (sqrt((double)square[i]) * root + o->eps);
            const double added = (double)p[i] * (1 - 1 / decay) - u / decay;
            sum += added * added;
        }
        parts[begin / size] = sum;
    }
    return root_of_sum(parts);
}
