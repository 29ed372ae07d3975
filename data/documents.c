/* documents.c: see documents.h. */
#include "data/documents.h"
#include "base/minmax.h"

/* The first document that begins at or after `token`, or count. */
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

/* Where the context of document k begins. */
static uint64_t context_begin(const struct documents *d, size_t k)
{
    return d->begins[k] - (d->ended && k > 0);
}

size_t documents_windows(const struct documents *d, uint64_t T, uint64_t *begins)
{
    size_t n = 0, next = 0; /* context `next` is the first to begin after the window's end */
    for (uint64_t begin = 0; begin < d->tokens; n++) {
        if (begins)
            begins[n] = begin;
        if (d->tokens - begin <= T)
            return n + 1;
        const uint64_t end = begin + T;
        while (next < d->count && context_begin(d, next) <= end)
            next++;
        const uint64_t cut = context_begin(d, next - 1);
        begin = cut > begin ? cut : end;
    }
    return n;
}

void documents_mask(const struct documents *d, uint64_t first, size_t T, uint32_t *start,
                    uint32_t *targets)
{
    size_t next = first_from(d, first + 1);
    uint64_t token = first;
    uint32_t begin = 0;
    for (uint32_t i = 0; i < T; i++) {
        if (++token == d->tokens)
            token = next = 0;
        const bool last = next < d->count && token == d->begins[next];
        next += last;
        if (last && d->ended)
            begin = i;
        start[i] = begin;
        if (last && !d->ended) {
            targets[i] = NO_TARGET;
            begin = i + 1;
        }
    }
}

size_t documents_counted(const struct documents *d, uint64_t first, size_t T)
{
    size_t begins = 0;
    for (uint64_t token = first + 1, left = d->ended ? 0 : T; left > 0; token = 0) {
        const uint64_t n = size_min(left, d->tokens - token); /* may wrap several times */
        begins += first_from(d, token + n) - first_from(d, token);
        left -= n;
    }
    return T - begins;
}
