/* tokenize_job.h: the state of tokenize, private to tokenize.c and build_tokenizer.c. */
#pragma once

#include "base/progress.h"
#include "data/corpus/division.h"
#include "data/corpus/occurrences.h"
#include "data/corpus/text.h"
#include "data/tokenizer/pretokenizer.h"
#include "data/tokenizer/tokenizer.h"

struct tokenize_plan;
struct tokenize_result;
struct tokenize_job {
    const struct tokenize_plan *plan;
    struct tokenize_result *result;
    const char *separator; /* "" if there is none */
    struct text text;
    uint64_t total_bytes; /* of the text, for the progress display */
    struct progress progress;
    struct tokenizer *tokenizer;
    FILE *tokens; /* temporary: their number must be known before shards are written */
    struct documents documents; /* of the text, if it is divided into documents */
    size_t capacity;            /* of documents.begins */
    struct division division;
    struct pretokenizer *input; /* takes the text that is read */
    struct occurrences ends, separators;
};

/* Whether the text is divided into documents. */
bool has_documents(const struct tokenize_job *j);
/* Reads the text once, and shows the progress of `what`. */
int read_text(struct tokenize_job *j, const char *what, struct pretokenizer *input,
              struct error *err);
/* Builds or loads the tokenizer. */
int build_tokenizer(struct tokenize_job *j, struct error *err);
