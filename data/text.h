/* text.h: the files of a text, read as one stream of whole UTF-8 characters (or of any bytes), as often as needed. */
#ifndef TEXT_H
#define TEXT_H

#include "base/digest.h"
#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum { TEXT_PIECE = 1 << 20 }; /* bytes that are in memory at once */

struct text_file {
    char *path;
    uint64_t bytes;
    char sha256[DIGEST_HEX]; /* empty before the first reading */
};

struct text {
    struct text_file *files;
    size_t n, capacity;
    bool any_bytes; /* text need not be UTF-8: pieces are as they come */
};

/* What is not text although it lies among it: files of such a name in this folder (the output of an earlier run). */
struct text_skip {
    struct stat folder;
    bool (*is_output)(const char *name);
};

/* Adds a file; or of a folder, and the folders in it, all regular files, sorted by name, but hidden ones and links. */
int text_add(struct text *t, const char *path, const struct text_skip *skip, struct error *err);
void text_free(struct text *t);

/* Gets a piece of at most TEXT_PIECE bytes, whole and valid characters, that begins `offset` bytes into the file. The last piece of each
 * file is followed by one of 0 bytes. */
typedef int text_reader(void *context, const struct text_file *file, const char *piece, size_t n,
                        uint64_t offset, struct error *err);
/* Reads all files, once after the other, with nothing in between. The first time fills in their sizes and digests, later times
 * compare: a file that has changed since is an error, at its end at the latest. */
int text_read(struct text *t, text_reader *reader, void *context, struct error *err);

/* [{"path": …, "bytes": …, "sha256": …}, …]; allocated, NULL where memory is short. */
char *text_json(const struct text *t);

#endif
