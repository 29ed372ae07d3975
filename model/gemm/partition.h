/* partition.h: how a product is divided into pieces. Depends on its sizes alone. */
#ifndef PARTITION_H
#define PARTITION_H

#include <stddef.h>

/* The size of a piece: rows and columns of C, and terms of the sum. The last piece in each
 * direction may be smaller. */
struct piece {
    size_t m, n, k;
};

/* Equal pieces of C (M,N), of at most max_m x max_n, enough for several threads. */
struct piece partition_c(size_t M, size_t N, size_t K, size_t max_m, size_t max_n);

/* For a small C and a long sum: pieces as large as allowed, and the sum in four or eight slices
 * (split-K). */
struct piece partition_k(size_t M, size_t N, size_t K, size_t max_m, size_t max_n);

/* The length of a piece if a length n is divided into MAX_PARTS parts, or fewer if n is short. */
enum { MAX_PARTS = 8 };
size_t part_length(size_t n);

#endif
