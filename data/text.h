/* text.h: the files of a text, read as one stream of valid UTF-8 (or of any bytes), as often as
 * needed. */
#pragma once

#include "base/digest.h"
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum { TEXT_PIECE = 1 << 20 }; /* bytes in memory at once */

struct text_file {
    char *path;
    uint64_t bytes;
    char sha256[DIGEST_HEX]; /* empty before the first reading */
};

struct text {
    struct text_file *files;
    size_t n, capacity;
    bool any_bytes; /* the text need not be UTF-8 */
};

/* Adds a file, or all regular files below a directory, sorted by name, except hidden ones, links,
 * and files of a corpus in the directory `output`, if it is not NULL. To name one of the latter is
 * an error, since tokenize would overwrite it. A file that is not a text (compressed, UTF-16, with
 * a NUL byte, or largely invalid UTF-8) is an error, or if found in a directory, reported and
 * skipped. */
int text_add(struct text *t, const char *path, const struct stat *output, struct error *err);
void text_free(struct text *t);

/* Gets the next at most TEXT_PIECE bytes, complete and valid characters, from `offset` of the file,
 * without a byte-order mark. A call with n = 0 ends each file. */
typedef int text_reader(void *context, const struct text_file *file, const char *piece, size_t n,
                        uint64_t offset, struct error *err);
/* Reads all files in order. The first reading stores their sizes and digests; later ones fail if a
 * file has changed. */
int text_read(struct text *t, text_reader *reader, void *context, struct error *err);

/* [{"path": ..., "bytes": ..., "sha256": ...}, ...]. The caller frees it. NULL if memory is
 * short. */
char *text_json(const struct text *t);
