/* test_suggest.c: suggestions for mistyped names, and text appended to a buffer. */
#include "base/suggest.h"
#include "base/text_append.h"
#include "tests/test.h"
#include <stdint.h>

START_TEST(distances)
{
    ck_assert_uint_eq(suggest_distance("train", "train"), 0);
    ck_assert_uint_eq(suggest_distance("trian", "train"), 1); /* a swap */
    ck_assert_uint_eq(suggest_distance("tran", "train"), 1);
    ck_assert_uint_eq(suggest_distance("ttrain", "train"), 1);
    ck_assert_uint_eq(suggest_distance("brain", "train"), 1);
    ck_assert_uint_eq(suggest_distance("bran", "train"), SIZE_MAX); /* more than a third */
    ck_assert_uint_eq(suggest_distance("", ""), 0);
    ck_assert_uint_eq(suggest_distance("a word of more than forty characters here", "a"), SIZE_MAX);
}
END_TEST

START_TEST(the_nearest_name)
{
    static const char *const names[] = {"model", "data", "optim", "train"};
    ck_assert_str_eq(suggest_nearest("modle", names, 4), "model");
    ck_assert_str_eq(suggest_nearest("train", names, 4), "train");
    ck_assert_ptr_null(suggest_nearest("network", names, 4));
    ck_assert_ptr_null(suggest_nearest("model", names, 0));
}
END_TEST

START_TEST(appended_text_is_cut_off)
{
    char text[8] = "";
    ck_assert_str_eq(text_append(text, sizeof text, "%d", 12), "12");
    ck_assert_str_eq(text_append(text, sizeof text, "%s", "345678"), "1234567");
    ck_assert_str_eq(text_append(text, sizeof text, "%s", "9"), "1234567");
    ck_assert_ptr_null(text_append(NULL, 0, "%s", "9"));
}
END_TEST

SUITE("base/suggest", distances, the_nearest_name, appended_text_is_cut_off)
