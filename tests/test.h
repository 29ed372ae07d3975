/* test.h: included by every test program: Check, and a main that runs one suite. A program is
 * one file, tests/DIRECTORY/test_NAME.c, that ends with SUITE(name, test1, test2, ...). If it
 * is built for several number types, it ends with SUITE_FLOAT_DOUBLE or SUITE_ALL_TYPES
 * instead; tests/rules.mk searches for these names. Each test runs in a separate process
 * unless CK_FORK=no. */
#pragma once

#include <check.h>
#undef fail /* a macro of Check; base/error.h has a function with this name */
#include <stdlib.h>

/* Seconds until a test counts as hung: generous, for shared machines and sanitizers. */
enum { TEST_TIMEOUT = 300 };

/* The stride of a loop over similar cases: 1, or `step` in the builds for valgrind (make memcheck)
 * and the sanitizers (make asan), which are slower and look for other faults. */
static inline size_t sweep(size_t step)
{
#ifdef FEWER_CASES
    return step;
#else
    (void)step;
    return 1;
#endif
}

static inline int run_suite(const char *name, const TTest *const *tests, size_t n)
{
    Suite *s = suite_create(name);
    for (size_t i = 0; i < n; i++) {
        TCase *c = tcase_create(tests[i]->name);
        tcase_set_timeout(c, TEST_TIMEOUT);
        tcase_add_test(c, tests[i]);
        suite_add_tcase(s, c);
    }
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Set by the Makefile if it builds the program for several number types. */
#ifndef TYPED_BUILD
#define TYPED_BUILD 0
#endif

#define SUITE_FLOAT_DOUBLE(name, ...)                                                              \
    _Static_assert(TYPED_BUILD, "the Makefile builds this program for one number type");           \
    SUITE_MAIN(name, __VA_ARGS__)
#define SUITE_ALL_TYPES(name, ...) SUITE_FLOAT_DOUBLE(name, __VA_ARGS__)
#define SUITE(name, ...)                                                                           \
    _Static_assert(!TYPED_BUILD, "the Makefile builds this program for several number types");     \
    SUITE_MAIN(name, __VA_ARGS__)

#define SUITE_MAIN(name, ...)                                                                      \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        return run_suite(name, tests, sizeof tests / sizeof *tests);                               \
    }
