/* clip.c: sums in blocks of fixed length, each by one thread, then the blocks in order: the norm does not depend on the number
 * of threads. */
#include "clip.h"

enum { BLOCK = 4096, BLOCKS = 256 };

/* Asks for what comes 8 KB later: left to itself a core reads a third slower, measured (docs/performance.md). */
static double sum_of_squares(const real *x, size_t n)
{
    enum { PIECE = 256, LINE = 64 / sizeof(real), AHEAD = 8192 / sizeof(real) };
    double total = 0;
    for (size_t begin = 0; begin < n; begin += PIECE) {
        const size_t end = n - begin < PIECE ? n : begin + PIECE;
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
