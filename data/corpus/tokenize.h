/* tokenize.h: converts text files to a directory of shards with their tokenizer.
 *
 * The text is read as a stream: once to build the tokenizer if it depends on the text (char,
 * bpe:SIZE), and once to encode it. The tokens go to a temporary file until their number is known,
 * and then to shards. Memory therefore holds pieces of text, one shard and, for bpe:SIZE, the
 * distinct words, for a text of any length. All errors in the text are found before the directory
 * changes.
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tokenize_plan {
    const char *const *texts; /* as in text_add, in order */
    size_t n_texts;
    const char *dir;             /* the directory to write */
    const char *tokenizer;       /* "byte", "char", "bpe", "bpe:SIZE" or a file */
    const char *pattern;         /* NULL: GPT-2's, or the one in the tokenizer's file */
    const char *const *specials; /* special tokens besides <|endoftext|> */
    size_t n_specials;
    const char *separator;  /* between documents, or NULL */
    bool document_files;    /* each file is a document */
    const char *json_field; /* as in struct text */
    uint64_t shard_tokens;  /* maximum per shard */
    double val;             /* fraction of the tokens for the validation split: those at the end, or
                               the documents that division_by_documents chooses */
    uint64_t val_seed;      /* 0: documents at the end */
    bool force;             /* replace an existing corpus */
};

struct tokenize_result {
    size_t files, vocab_size;
    const char *kind; /* of the tokenizer */
    uint64_t bytes, tokens, documents, train_tokens, val_documents;
    uint64_t separators; /* in the text */
    uint64_t ends;       /* "<|endoftext|>" in the text, where it does not separate documents */
};

/* Stops with an error if a signal asks for it (base/stop.h). Error messages name the options of
 * handgrad tokenize. */
int tokenize(const struct tokenize_plan *plan, struct tokenize_result *result, struct error *err);
