/* test_zero.c: what is cleared, and nothing beside it, however it is stored. */
#include "model/zero.h"
#include "tests/test.h"
#include <string.h>

enum { ROOM = 80, MARK = 0x5a };

static void check_zero(size_t bytes, size_t offset)
{
    const size_t n = bytes / sizeof(real);
    unsigned char *room = malloc(n * sizeof(real) + ROOM);
    ck_assert_ptr_nonnull(room);
    memset(room, MARK, n * sizeof(real) + ROOM);
    zero((real *)(room + offset), n);
    size_t wrong = 0;
    for (size_t i = 0; i < n * sizeof(real) + ROOM; i++)
        wrong += room[i] != (i < offset || i >= offset + n * sizeof(real) ? MARK : 0);
    ck_assert_msg(wrong == 0, "%zu bytes at %zu: %zu wrong", bytes, offset, wrong);
    free(room);
}

START_TEST(clears_all_and_no_more)
{
    const size_t sizes[] = {0, sizeof(real), 1000, ZERO_BLOCK, ZERO_BLOCK + 8, 5 * ZERO_BLOCK + 96};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (size_t offset = 0; offset < 64; offset += sizeof(real))
            check_zero(sizes[s], offset);
}
END_TEST

START_TEST(past_the_caches_too)
{
    for (size_t offset = 0; offset < 32; offset += sizeof(real))
        check_zero(ZERO_FAR + 3 * ZERO_BLOCK / 2 + 24, offset);
}
END_TEST

SUITE("model/zero", clears_all_and_no_more, past_the_caches_too)
