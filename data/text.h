/* text.h: the files of a text, read as one stream of whole UTF-8 characters, as often as needed. */
#ifndef TEXT_H
#define TEXT_H

#include "digest.h"
#include "error.h"
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
};

/* What is not text although it lies among it: files of such a name in this folder (the output of an earlier run). */
struct text_skip {
    struct stat folder;
    bool (*is_output)(const char *name);
};

/* Adds a file; or of a folder, and the folders in it, all regular files, sorted by name, but hidden ones and links. */
int text_add(struct text *t, const char *path, const struct text_skip *skip, struct error *err);
void text_free(struct text *t);

/* Gets a piece of at most TEXT_PIECE bytes, whole and valid characters, that begins `offset` bytes into the file. */
typedef int text_reader(void *context, const struct text_file *file, const char *piece, size_t n, uint64_t offset,
                        struct error *err);
/* Reads all files, once after the other, with nothing in between. The first time fills in their sizes and digests, later times
 * compare: a file that has changed since is an error, at its end at the latest. */
int text_read(struct text *t, text_reader *reader, void *context, struct error *err);

/* The first byte of the character that byte `at` of the stream belongs to. */
int text_character_begin(const struct text *t, uint64_t at, uint64_t *begin, struct error *err);

/* [{"path": …, "bytes": …, "sha256": …}, …]; allocated, NULL where memory is short. */
char *text_json(const struct text *t);

#endif
