/* sandbox.h: code that may be made to misbehave, in a process that can do no harm.
 *
 * The work runs in a child made by fork, with its memory and processor time limited, without any open file and unable to open,
 * create, send or execute anything (RLIMIT_NOFILE = 0, and a seccomp filter where libseccomp was there to build with and the kernel
 * takes it). All that comes back is bytes, for the caller to check: whoever takes the child over decides what they are.
 *
 * Without the filter the limits alone hold: such a child could still send signals to, or trace, processes of the same user, and
 * root could lift its limits again.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "base/error.h"
#include <stddef.h>

struct sandbox_result {
    void *bytes;
    size_t size;
};

/* Writes a result of at most capacity bytes and returns its size. It sees the parent's memory as it was, and may call whatever
 * needs no lock that another thread of the parent could hold. */
typedef size_t sandbox_work(void *argument, void *result, size_t capacity);

enum { SANDBOX_NO_CHILD = -2 };

/* Runs the work, which is `doing` something to a file, to its end. SANDBOX_NO_CHILD where there can be no child, -1 where it crashed or
 * reached a limit: "FILE: DOING crashed …" says which. */
int sandbox_run(struct sandbox_result *result, sandbox_work *work, void *argument, size_t capacity,
                const char *doing, const char *file, struct error *err);
/* Also of one that failed. */
void sandbox_free(struct sandbox_result *result);

#endif
