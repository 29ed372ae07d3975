/* test_error.c: error lines. */
#include "tests/files.h"

START_TEST(error_lines)
{
    struct error e;
    ck_assert_int_eq(fail(&e, "%s: %d", "file", 7), -1);
    ck_assert_str_eq(e.text, "file: 7");
    ck_assert_int_eq(fail(&e, "outer: %s", e.text), -1); /* may quote itself */
    ck_assert_str_eq(e.text, "outer: file: 7");
    fail(&e, "%s", "a\nb\033[2J\x7F\xC2\x85 é");
    ck_assert_str_eq(e.text, "a?b?[2J??? é");
    ck_assert_int_eq(fail(NULL, "a message that is dropped"), -1);
    /* Too long: cut before a character, never inside. */
    for (size_t pad = 0; pad < 4; pad++) {
        char text[2 * sizeof e.text] = "";
        memset(text, 'x', pad);
        for (size_t i = pad; i + 4 < sizeof text; i += 3)
            memcpy(text + i, "€", 4);
        fail(&e, "%s", text);
        const size_t n = strlen(e.text);
        ck_assert(n < sizeof e.text && n > sizeof e.text - 10);
        ck_assert_str_eq(e.text + n - 3, "...");
        ck_assert_uint_eq((n - 3 - pad) % 3, 0);
    }
}
END_TEST

SUITE("data/error", error_lines)
