/* test.h: what every test program starts with: Check, and a main that runs one suite. A program is one file, tests/test_*.c, that
 * ends with SUITE(name, test1, test2, …), or, where it is built for several number types, with SUITE_FLOAT_DOUBLE or
 * SUITE_ALL_TYPES: the Makefile looks for these names. Each test runs in a process of its own unless CK_FORK=no. */
#ifndef TEST_H
#define TEST_H

#include <check.h>
#undef fail /* Check's own; base/error.h has a function of this name */
#include <stdlib.h>

/* Seconds a test may take before it counts as hung: generous, since machines are shared and sanitizers slow. */
enum { TEST_TIMEOUT = 300 };

/* The step of a sweep over cases that are alike: 1, and under valgrind, which takes a hundred times as long (make memcheck), `step`. */
static inline size_t sweep(size_t step)
{
#ifdef MEMCHECK
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

/* The Makefile's word that it builds this program for several types. */
#ifndef TYPED_BUILD
#define TYPED_BUILD 0
#endif

#define SUITE_FLOAT_DOUBLE(name, ...)                                                              \
    _Static_assert(TYPED_BUILD, "the Makefile builds this program for one type");                  \
    SUITE_MAIN(name, __VA_ARGS__)
#define SUITE_ALL_TYPES(name, ...) SUITE_FLOAT_DOUBLE(name, __VA_ARGS__)
#define SUITE(name, ...)                                                                           \
    _Static_assert(!TYPED_BUILD, "the Makefile builds this program for several types");            \
    SUITE_MAIN(name, __VA_ARGS__)

#define SUITE_MAIN(name, ...)                                                                      \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        return run_suite(name, tests, sizeof tests / sizeof *tests);                               \
    }

#endif
