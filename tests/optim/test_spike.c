/* test_spike.c: the window of recent losses, and the limit from which a loss counts as a spike. */
#include "optim/spike.h"
#include "tests/test.h"
#include <math.h>
#include <string.h>

START_TEST(limit_of_recent_losses)
{
    struct loss_window r = {0}, s;
    char text[LOSS_WINDOW_TEXT];
    for (int i = 0; i < LOSS_WINDOW_MIN; i++) {
        ck_assert(loss_window_limit(&r, 10) == INFINITY);
        loss_window_add(&r, 2 + 0.1 * (i % 3)); /* median 2.1, median deviation 0.1 */
    }
    ck_assert_double_eq_tol(loss_window_limit(&r, 10), 2.1 + 10 * 1.4826 * 0.1, 1e-12);
    loss_window_add(&r, 1e30); /* an outlier hardly changes the limit */
    ck_assert_double_eq_tol(loss_window_limit(&r, 10), 2.1 + 10 * 1.4826 * 0.1, 1e-12);
    for (int i = 0; i < 3 * LOSS_WINDOW_MAX + 7; i++) {
        ck_assert_int_eq(loss_window_parse(&s, loss_window_text(&r, text)), 0);
        ck_assert(strlen(text) < LOSS_WINDOW_TEXT);
        for (size_t k = 0; k < 5; k++)
            loss_window_add(&s, 1 / (double)(k + 1));
        loss_window_add(&r, 4 + 1e-3 * i);
        ck_assert_int_eq(loss_window_parse(&s, loss_window_text(&r, text)), 0);
        ck_assert_mem_eq(&r, &s, sizeof r);
    }
    for (int i = 0; i < LOSS_WINDOW_MAX; i++)
        loss_window_add(&r, 3);
    /* equal losses */
    ck_assert_double_eq_tol(loss_window_limit(&r, 10), 3 + 10 * 0.03, 1e-12);
    static const char *const wrong[] = {"",
                                        "x",
                                        "1",
                                        "1 nan",
                                        "1 0x1p+1 0x1p+1",
                                        "2 0x1p+1",
                                        "1  ",
                                        "-1",
                                        "99999999999999999999 0x1p1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        ck_assert_msg(loss_window_parse(&s, wrong[i]) == -1, "\"%s\"", wrong[i]);
}
END_TEST

SUITE("optim/spike", limit_of_recent_losses)
