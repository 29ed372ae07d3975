/* gemm_cut.h: how a product is cut into pieces, by its sizes alone. */
#ifndef GEMM_CUT_H
#define GEMM_CUT_H

#include <stddef.h>

struct cuts {
    size_t m, n, k; /* lengths of a piece: of C's rows and columns, and of the sum */
};

/* The pieces of C (M,N): at most most_m x most_n, alike, as many as keep several threads busy. k is K, whole. */
struct cuts cut_product(size_t M, size_t N, size_t K, size_t most_m, size_t most_n);

/* A sum that is long and a C that is small: pieces as large as they may be, and the sum in four or eight. */
struct cuts cut_long_sum(size_t M, size_t N, size_t K, size_t most_m, size_t most_n);

/* The eight pieces, or fewer, of a length n of which each piece has to be as long as it can be. */
enum { LONG_PIECES = 8 };
size_t cut_length(size_t n);

static inline size_t ceil_div(size_t a, size_t b)
{
    return (a + b - 1) / b;
}

#endif
