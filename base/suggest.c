/* suggest.c: see suggest.h. */
#include "base/suggest.h"
#include "base/minmax.h"
#include <stdint.h>
#include <string.h>

enum { LENGTH_MAX = 40 }; /* longer words get no suggestion */

size_t suggest_distance(const char *word, const char *name)
{
    const size_t m = strlen(word), n = strlen(name);
    size_t d[LENGTH_MAX + 1][LENGTH_MAX + 1]; /* between the first i and the first j characters */
    if (m > LENGTH_MAX || n > LENGTH_MAX)
        return SIZE_MAX;
    for (size_t i = 0; i <= m; i++)
        for (size_t j = 0; j <= n; j++) {
            if (!i || !j) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = size_min(size_min(d[i - 1][j], d[i][j - 1]) + 1,
                               d[i - 1][j - 1] + (word[i - 1] != name[j - 1]));
            if (i > 1 && j > 1 && word[i - 1] == name[j - 2] && word[i - 2] == name[j - 1])
                d[i][j] = size_min(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[m][n] <= (m + 1) / 3 ? d[m][n] : SIZE_MAX;
}

const char *suggest_nearest(const char *word, const char *const *names, size_t n)
{
    const char *nearest = NULL;
    size_t smallest = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        const size_t distance = suggest_distance(word, names[i]);
        if (distance < smallest) {
            smallest = distance;
            nearest = names[i];
        }
    }
    return nearest;
}
