/* documents.h: where the documents of a stream of tokens begin, and what follows for windows of it: where windows that begin at
 * documents begin, what of a window a token may look at, and which targets count. */
#ifndef DOCUMENTS_H
#define DOCUMENTS_H

#include <stddef.h>
#include <stdint.h>

/* In the place of a target that is not predicted: model/loss.h knows it by the same number. */
#define NO_TARGET UINT32_MAX

/* Of N = tokens tokens. Token 0 begins one, whatever stood before it in the text. */
struct documents {
    const uint64_t *begins; /* (count), ascending; begins[0] = 0 */
    size_t count;
    uint64_t tokens;
};

/* Writes the beginnings of windows of T tokens to `begins`, where it is not NULL, and returns how many there are. The first window
 * begins at token 0; behind each, the next begins with the document that was cut, or goes on with one that began no later than
 * the window. So
 *
 *   every token lies in one window, or in two;
 *   a document of at most T tokens lies whole in one of them;
 *   a longer one is cut every T tokens from its beginning.
 *
 * The last window may reach beyond the last token. */
size_t documents_windows(const struct documents *d, uint64_t T, uint64_t *begins);

/* Of the window of T inputs from token `first` on, which goes on at token 0 behind the last: starts (T), the position in the window
 * where each input's document begins, or the window itself; and NO_TARGET in targets (T) where the target is of the next one. */
void documents_mask(const struct documents *d, uint64_t first, size_t T, uint32_t *starts,
                    uint32_t *targets);

/* How many targets of that window are left. */
size_t documents_counted(const struct documents *d, uint64_t first, size_t T);

#endif
