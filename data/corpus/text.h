/* text.h: the files of a text, read as one stream of valid UTF-8 (or of any bytes), as often as
 * needed. Compressed files are decompressed (source.h); of JSON lines, the texts of the documents
 * are read (json_lines.h). */
#pragma once

#include "base/digest.h"
#include "base/error.h"
#include "data/corpus/source.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

enum { TEXT_PIECE = 1 << 20 }; /* bytes in memory at once */

struct text_file {
    char *path;
    FILE *copy; /* of what can be read only once; otherwise NULL */
    bool json;  /* JSON lines */
    /* Of the file, decompressed. sha256 is empty before the first reading. */
    uint64_t bytes;
    char sha256[DIGEST_HEX];
    dev_t device; /* private: which file it is, if found in a directory */
    ino_t inode;
};

struct text {
    struct text_file *files;
    size_t n, capacity;
    /* Set before files are added: */
    const char *directory;  /* for temporary files; NULL: the system's */
    const char *json_field; /* that has the text; NULL: "text". If set, pipes are JSON lines */
    bool any_bytes;         /* the text need not be UTF-8 */
    bool documents;         /* some files are JSON lines, so each file, too, is a document */
};

/* Adds a file, standard input ("-") or another pipe, which is copied, or all regular files below a
 * directory, sorted by name, except hidden ones and files of a corpus in the directory `output`, if
 * it is not NULL. To name one of the latter is an error, since tokenize would overwrite it.
 * Symbolic links are followed; a file that was found twice is read once. A file that is not a text
 * (a zip archive, UTF-16, with a NUL byte, or largely invalid UTF-8) is an error, or if found in a
 * directory, reported and skipped. */
int text_add(struct text *t, const char *path, const struct stat *output, struct error *err);
void text_free(struct text *t);
struct source *text_open(const struct text_file *f, struct error *err);

/* Gets the next at most TEXT_PIECE bytes, complete and valid characters, from `offset` of the file,
 * without a byte-order mark. A call with n = 0 ends each file, and each document of JSON lines. */
typedef int text_reader(void *context, const struct text_file *file, const char *piece, size_t n,
                        uint64_t offset, struct error *err);
/* Reads all files in order. The first reading stores their sizes and digests; later ones fail if a
 * file has changed. */
int text_read(struct text *t, text_reader *reader, void *context, struct error *err);

/* [{"path": ..., "bytes": ..., "sha256": ...}, ...]. The caller frees it. NULL if memory is
 * short. */
char *text_json(const struct text *t);
