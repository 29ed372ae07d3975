/* workspace.h: a buffer that a function keeps between its calls. Fresh pages would cost as much as
 * the work that is done in them.
 *
 * The function owns a static pointer to its idle buffer and takes the buffer out of it for a call.
 * A concurrent call finds the pointer empty and gets a separate buffer; one of the two is kept. */
#ifndef WORKSPACE_H
#define WORKSPACE_H

#include <stdatomic.h>
#include <stdlib.h>

struct workspace {
    size_t bytes; /* of data */
    _Alignas(64) unsigned char data[];
};

/* Takes the idle buffer, enlarged to `bytes` if necessary. Its contents are undefined. NULL if
 * memory is short. */
static inline struct workspace *workspace_take(_Atomic(struct workspace *) *idle, size_t bytes)
{
    struct workspace *w = atomic_exchange(idle, NULL);
    if (w && w->bytes >= bytes)
        return w;
    free(w);
    w = aligned_alloc(64, (sizeof *w + bytes + 63) / 64 * 64);
    if (w)
        w->bytes = bytes;
    return w;
}

/* w may be NULL. */
static inline void workspace_put_back(_Atomic(struct workspace *) *idle, struct workspace *w)
{
    if (w)
        free(atomic_exchange(idle, w));
}

#endif
