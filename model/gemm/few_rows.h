/* few_rows.h: products of a few rows with a large matrix, as in decoding, where reading the matrix
 * takes the time. */
#ifndef FEW_ROWS_H
#define FEW_ROWS_H

#include "model/gemm/product.h"
#include <stdbool.h>

#define has_few_rows     NAME(has_few_rows)
#define few_rows_product NAME(few_rows_product)

enum { FEW_ROWS = 8 };

/* Whether few_rows_product is the faster way: A B for up to FEW_ROWS rows of A; A B^T for one row,
 * since for more a library is as fast. */
bool has_few_rows(const struct product *p);

/* Computes the product, whose A is not transposed, on the calling thread. Reads B once. If ldb is
 * B's width, the reads are in the order of memory. */
void few_rows_product(const struct product *p);

#endif
