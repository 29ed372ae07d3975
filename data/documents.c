/* documents.c: see documents.h. */
#include "data/documents.h"

/* The first document that begins at a token >= `token`: count where none does. */
static size_t first_from(const struct documents *d, uint64_t token)
{
    size_t low = 0, high = d->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (d->begins[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t documents_windows(const struct documents *d, uint64_t T, uint64_t *begins)
{
    size_t
        n = 0,
        next =
            0; /* documents before `next` begin at or before the first token that the windows so far leave out */
    for (uint64_t begin = 0; begin < d->tokens; n++) {
        if (begins)
            begins[n] = begin;
        if (d->tokens - begin <= T)
            return n + 1;
        const uint64_t end = begin + T;
        while (next < d->count && d->begins[next] <= end)
            next++;
        begin = d->begins[next - 1] > begin ? d->begins[next - 1] : end;
    }
    return n;
}

void documents_mask(const struct documents *d, uint64_t first, size_t T, uint32_t *starts,
                    uint32_t *targets)
{
    size_t next = first_from(d, first + 1);
    uint64_t token = first;
    uint32_t start = 0;
    for (size_t i = 0; i < T; i++) {
        starts[i] = start;
        if (++token == d->tokens)
            token = next = 0;
        if (next < d->count && token == d->begins[next]) {
            targets[i] = NO_TARGET;
            start = (uint32_t)i + 1;
            next++;
        }
    }
}

size_t documents_counted(const struct documents *d, uint64_t first, size_t T)
{
    const uint64_t left = d->tokens - 1 - first; /* targets before the end */
    const size_t here = T < left ? T : (size_t)left;
    size_t begin = first_from(d, first + 1 + here) - first_from(d, first + 1);
    for (size_t rest = T - here; rest > 0;) { /* and, from token 0 on, once more or often */
        const size_t round = rest < d->tokens ? rest : (size_t)d->tokens;
        begin += first_from(d, round);
        rest -= round;
    }
    return T - begin;
}
