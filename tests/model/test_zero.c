/* test_zero.c: zero() clears the array and no bytes next to it, by each of its methods. */
#include "model/zero.h"
#include "tests/test.h"
#include <string.h>

enum { MARGIN = 80, MARK = 0x5a };

static void check_zero(size_t bytes, size_t offset)
{
    const size_t n = bytes / sizeof(real);
    unsigned char *buffer = malloc(n * sizeof(real) + MARGIN);
    ck_assert_ptr_nonnull(buffer);
    memset(buffer, MARK, n * sizeof(real) + MARGIN);
    zero((real *)(buffer + offset), n);
    size_t wrong = 0;
    for (size_t i = 0; i < n * sizeof(real) + MARGIN; i++)
        wrong += buffer[i] != (i < offset || i >= offset + n * sizeof(real) ? MARK : 0);
    ck_assert_msg(wrong == 0, "%zu bytes at %zu: %zu wrong", bytes, offset, wrong);
    free(buffer);
}

START_TEST(clears_the_array_only)
{
    const size_t sizes[] = {0, sizeof(real), 1000, ZERO_BLOCK, ZERO_BLOCK + 8, 5 * ZERO_BLOCK + 96};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t offset = 0; offset < 64; offset += sizeof(real))
            check_zero(sizes[s], offset);
}
END_TEST

START_TEST(clears_arrays_larger_than_the_caches)
{
    for (size_t offset = 0; offset < 32; offset += sizeof(real))
        check_zero(ZERO_FAR + 3 * ZERO_BLOCK / 2 + 24, offset);
}
END_TEST

SUITE("model/zero", clears_the_array_only, clears_arrays_larger_than_the_caches)
