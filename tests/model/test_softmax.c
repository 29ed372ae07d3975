/* test_softmax.c: the maximum is found in every position, so that scores of any size give a
 * distribution. Built for float and for double.
 *
 *   property                                  tolerance
 *   sum of a row; shift of all scores         16 roundings for each element
 */
#include "model/softmax.h"
#include "tests/numbers.h"

enum { C = 37 };

START_TEST(the_largest_score_in_each_position)
{
    real x[C], p[C], shifted[C], q[C];
    for (size_t size = 1; size <= C; size++)
        for (size_t largest = 0; largest < size; largest++) {
            double sum = 0;
            fill(x, size, 3, (uint32_t)(size * C + largest));
            x[largest] += 1000; /* exp overflows unless this is subtracted */
            for (size_t i = 0; i < size; i++)
                shifted[i] = x[i] - 2000;
            softmax_row(p, x, size);
            softmax_row(q, shifted, size);
            for (size_t i = 0; i < size; i++) {
                ck_assert(p[i] >= 0 && p[i] <= 1);
                ck_assert_double_le(fabs((double)(p[i] - q[i])), 2048 * ROUNDOFF);
                sum += (double)p[i];
            }
            ck_assert_double_le(fabs(sum - 1), 16 * C * ROUNDOFF);
            ck_assert_double_ge((double)p[largest], 0.99);
        }
}
END_TEST

SUITE_FLOAT_DOUBLE("model/softmax", the_largest_score_in_each_position)
