/* sandbox.h: runs code that untrusted input may take over in a process that can do no harm.
 *
 * The work runs in a forked child with limited memory and processor time, without open files, and
 * unable to open, create, send or execute anything (RLIMIT_NOFILE = 0, and a seccomp filter if
 * libseccomp and the kernel support it). It returns only bytes, which the caller must check.
 *
 * Without the filter, a compromised child could still send signals to, or trace, processes of the
 * same user, and as root raise its limits.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "base/error.h"
#include <stddef.h>

struct sandbox_result {
    void *bytes;
    size_t size;
};

/* Writes a result of at most `capacity` bytes and returns its size. It sees a copy of the parent's
 * memory and must not need a lock that another thread of the parent may hold. */
typedef size_t sandbox_work(void *argument, void *result, size_t capacity);

enum { SANDBOX_NO_CHILD = -2 };

/* Runs the work and waits for it. Returns SANDBOX_NO_CHILD if no child can be started, -1 if it
 * crashed or exceeded a limit; the message is "FILE: DOING crashed ...". */
int sandbox_run(struct sandbox_result *result, sandbox_work *work, void *argument, size_t capacity,
                const char *doing, const char *file, struct error *err);
/* Also after a failure. */
void sandbox_free(struct sandbox_result *result);

#endif
