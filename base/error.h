/* error.h: how everything that touches a file, a configuration or the user reports what went wrong.
 *
 * Such a function takes a struct error and returns 0, or -1 after filling in one line that names the file, the field, the
 * value and what was expected. A command prints it as "handgrad: <line>" and exits 1.
 */
#ifndef ERROR_H
#define ERROR_H

struct error {
    char text[1024];
};

/* Writes the line and returns -1, so that a function can end with `return fail(err, "...")`. Control characters of
 * untrusted text are replaced. */
int fail(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
