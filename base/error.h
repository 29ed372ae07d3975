/* error.h: error messages.
 *
 * A function that can fail takes a struct error and returns 0, or -1 after filling in one line that
 * names the file, the field, the value and what was expected. A command prints it as
 * "handgrad: LINE" and exits with status 1.
 */
#ifndef ERROR_H
#define ERROR_H

#include <stddef.h>

struct error {
    char text[1024];
};

/* Formats the line and returns -1, for `return fail(err, "...")`. Control characters, which
 * untrusted text may contain, are replaced. The arguments may include err->text. err may be NULL. */
int fail(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* For functions that return a pointer. */
#define fail_null(...) (fail(__VA_ARGS__), (void *)NULL)

#endif
