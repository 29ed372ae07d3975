/* corpus.h: writes a corpus: a directory of shards and the tokenizer that made them.
 *
 * tokenizer.h5 is written last and removed first, and no loader opens a directory without it. So
 * the remains of an interrupted run are not mistaken for a corpus, nor mixed with another one (see
 * corpus and count in struct shard_info).
 */
#pragma once

#include "base/error.h"
#include "data/tokenizer/tokenizer.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Whether a file of this name belongs to a corpus: a shard, tokenizer.h5, or a temporary file of
 * one of them. */
bool corpus_owns(const char *name);

struct corpus_dir {
    const char *path;
    int fd;       /* locked against other writers */
    bool created; /* by corpus_dir_open */
};

/* Creates the directory if it is missing, checks that it is writable, and locks it. `path` must
 * outlive d. */
int corpus_dir_open(struct corpus_dir *d, const char *path, struct error *err);
/* Whether it contains a complete corpus. */
bool corpus_dir_is_taken(const struct corpus_dir *d);
/* Removes all files that corpus_owns. */
int corpus_dir_clear(const struct corpus_dir *d, struct error *err);
/* discard: also removes the directory if it was created and is empty. */
void corpus_dir_close(struct corpus_dir *d, bool discard);

/* Creates an unnamed temporary file in a corpus directory. */
FILE *corpus_temporary_file(const char *dir, struct error *err);

struct corpus_plan {
    const char *dir;
    const struct tokenizer *tokenizer;
    uint64_t train, val; /* tokens of each split; val may be 0 */
    uint64_t max_tokens; /* of a shard: at most SHARD_MAX_TOKENS */
    bool documents;      /* ids with DOCUMENT_BEGIN added begin documents */
    uint64_t val_seed;   /* that chose the documents of the validation split */
    const char *sources; /* as in struct shard_info */
    /* Reads tokens [first, first + n); train precedes val. */
    int (*read)(void *context, uint64_t first, size_t n, uint32_t *ids, struct error *err);
    void *context;
};

/* Writes the shards, and then tokenizer.h5. After an error, corpus_dir_clear removes what was
 * written. */
int corpus_write(const struct corpus_plan *plan, struct error *err);
