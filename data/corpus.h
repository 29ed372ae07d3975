/* corpus.h: a folder of shards and the tokenizer that made them, written as a whole.
 *
 * tokenizer.h5 is written last and removed first, and no loader opens a folder without it: what an interrupted run leaves is
 * never taken for a corpus, nor mixed with another's (struct shard_info's corpus and count).
 */
#ifndef CORPUS_H
#define CORPUS_H

#include "base/error.h"
#include "data/tokenizer/tokenizer.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a file of this name in a corpus' folder is one of its own: a shard, tokenizer.h5, or what a killed run left. */
bool corpus_owns(const char *name);

struct corpus_folder {
    char *path;
    int fd;       /* locked against other writers */
    bool created; /* by corpus_folder_open */
};

/* Makes the folder, with those above it, where it is missing; checks that it can be written to, and locks it. */
int corpus_folder_open(struct corpus_folder *f, const char *path, struct error *err);
/* Whether it holds a corpus. What an interrupted run left is none: its shards are no use to anybody. */
bool corpus_folder_is_taken(const struct corpus_folder *f);
/* Removes all that corpus_owns. */
int corpus_folder_clear(const struct corpus_folder *f, struct error *err);
/* discard: also removes the folder, if it was created and is empty. */
void corpus_folder_close(struct corpus_folder *f, bool discard);

/* How many shards of at most max_tokens a split makes; SHARD_MAX_COUNT of them have a name. */
uint64_t corpus_shards(uint64_t tokens, uint64_t max_tokens);

struct corpus_plan {
    const char *dir;
    const struct tokenizer *tokenizer;
    uint64_t train, val; /* tokens of each split; val may be 0 */
    uint64_t max_tokens; /* of a shard: at most SHARD_MAX_TOKENS */
    bool documents;      /* ids with ENCODER_DOCUMENT added begin documents */
    const char *sources; /* as in struct shard_info */
};

/* Takes all tokens in order, those of train and then those of val. finish writes tokenizer.h5; it frees the writer, as discard
 * does. A writer that failed leaves its shards to corpus_folder_clear. */
struct corpus_writer;
struct corpus_writer *corpus_writer_create(const struct corpus_plan *plan, struct error *err);
int corpus_writer_append(struct corpus_writer *w, const uint32_t *ids, size_t n, struct error *err);
int corpus_writer_finish(struct corpus_writer *w, struct error *err);
void corpus_writer_discard(struct corpus_writer *w);

#endif
