/* documents.h: where the documents of a stream of tokens begin, and what follows for its windows:
 * where windows may begin, which tokens a token may attend to, and which targets count. */
#pragma once

#include "base/batch.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Added to the id of a token that begins a document. */
#define DOCUMENT_BEGIN ((uint32_t)1 << 31)

/* Documents that end with an end-of-text token are predicted from that of the previous document, as
 * from a beginning-of-sequence token: it belongs to both contexts, as a target to the document
 * that it ends, as an input to the one that follows. Without such tokens, nothing of a document can
 * predict the first token of the next. */
struct documents {
    uint64_t *begins; /* (count), ascending; begins[0] = 0, whatever preceded token 0 */
    size_t count;
    uint64_t tokens;
    bool ended; /* with an end-of-text token each */
};

/* Returns the number of windows of T tokens that begin at documents (at the end-of-text token
 * before, if there is one), and stores where they begin unless `begins` is NULL. After each window,
 * the next begins with the document that was cut, or, if that began no later than the window, where
 * the window ends. So every token is in one or two windows; a document of at most T tokens is
 * complete in one; a longer one is cut every T tokens. The last window may extend beyond the last
 * token. */
size_t documents_windows(const struct documents *d, uint64_t T, uint64_t *begins);

/* For the window of T inputs from token `first`, which continues at token 0 after the last: stores
 * in start (T) the position in the window where each input's context begins (0 if before the
 * window), and unless documents are ended, sets targets (T) to NO_TARGET if the target is in the
 * next document. */
void documents_mask(const struct documents *d, uint64_t first, size_t T, uint32_t *start,
                    uint32_t *targets);

/* How many targets of that window count. */
size_t documents_counted(const struct documents *d, uint64_t first, size_t T);
