/* clip.c: sums in blocks of fixed length, each by one thread, then the blocks in order: the norm does not depend on the number
 * of threads. */
#include "clip.h"

enum { BLOCK = 4096, BLOCKS = 256 };

static double sum_of_squares(const real *x, size_t n)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

double gradient_norm(const real *grads, const struct tensors *tensors)
{
    double total = 0;
    for (size_t k = 0; k < tensors->count; k++) {
        const struct tensor *t = &tensors->list[k];
        const size_t size = t->size < (size_t)BLOCK * BLOCKS ? BLOCK : (t->size + BLOCKS - 1) / BLOCKS;
        double parts[BLOCKS] = {0};
#pragma omp parallel for
        for (size_t i = 0; i < t->size; i += size)
            parts[i / size] = sum_of_squares(grads + t->offset + i, t->size - i < size ? t->size - i : size);
        for (size_t b = 0; b < BLOCKS; b++)
            total += parts[b];
    }
    return sqrt(total);
}
