/* tokenize.h: what handgrad tokenize was asked for, and its work: text to a folder of shards.
 *
 * The text is read as a stream. Where the tokenizer depends on it (char, bpe:SIZE) it is read once to make that, and once more to be
 * encoded. Tokens wait on the disk (spool.h) until their number is known; then they become shards. So memory holds pieces of text, the
 * shard in hand and, for bpe:SIZE, the words that occur, however long the text is; and all that can be wrong with the text is found
 * before the folder changes.
 */
#ifndef TOKENIZE_H
#define TOKENIZE_H

#include "base/progress.h"
#include "data/corpus.h"
#include "data/temp_tokens.h"
#include "data/text.h"
#include "data/tokenizer/bpe_files.h"
#include "data/tokenizer/bytemap.h"

enum { TOKENIZE_SPECIALS = 64 };

struct tokenize_options {
    char **texts;
    size_t n_texts;
    const char *dir, *tokenizer;
    const char *pattern; /* NULL: GPT-2's, or what the tokenizer's file says */
    const char *specials[TOKENIZE_SPECIALS];
    size_t n_specials;
    const char *separator; /* between documents, or NULL */
    bool document_files;   /* each file is a document */
    uint64_t shard_tokens;
    double val;
    bool force;
};

struct tokenize_job {
    const struct tokenize_options *options;
    struct text text;
    struct tokenizer *tokenizer;
    struct temp_tokens *spool;
    uint64_t bytes, total_bytes, tokens, documents, train;
    struct progress progress;
};

/* The tokenizer, made of the text or read from a file. */
int tokenize_prepare(struct tokenize_job *j, struct error *err);
/* All tokens into the spool, counted. */
int tokenize_encode(struct tokenize_job *j, struct error *err);
/* Where train ends; whether every shard then has a name. */
int tokenize_divide(struct tokenize_job *j, struct error *err);
/* The shards. */
int tokenize_write(struct tokenize_job *j, struct error *err);

#endif
