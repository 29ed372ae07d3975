/* occurrences.c: see occurrences.h. */
#include "data/corpus/occurrences.h"
#include "base/minmax.h"
#include <string.h>

static void count(struct occurrences *o, const char *text, size_t n)
{
    const size_t length = strlen(o->string);
    const char *end = text + n;
    for (; (text = memmem(text, end - text, o->string, length)); text += length)
        o->count++;
}

void occurrences_add(struct occurrences *o, const char *piece, size_t n)
{
    if (!o->string)
        return;
    /* What crosses the boundary of the pieces is found in `joint`, as nothing else fits into it. */
    const size_t most = strlen(o->string) - 1, head = size_min(n, most),
                 kept = size_min(o->tail + n, most);
    memcpy(o->joint + o->tail, piece, head);
    count(o, o->joint, o->tail + head);
    count(o, piece, n);
    if (n >= kept)
        memcpy(o->joint, piece + n - kept, kept);
    else
        memmove(o->joint, o->joint + o->tail + n - kept, kept);
    o->tail = kept;
}
