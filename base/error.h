/* error.h: error messages.
 *
 * A function that can fail takes a struct error and returns 0, or -1 after filling in one line that
 * names the file, the field, the value and what was expected.
 */
#ifndef ERROR_H
#define ERROR_H

#include <stddef.h>

struct error {
    char text[1024];
};

/* Formats the line, replaces control characters, and returns -1. The arguments may include
 * err->text. err may be NULL. */
int fail(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For functions that return a pointer. */
#define fail_null(...) (fail(__VA_ARGS__), (void *)NULL)

#endif
