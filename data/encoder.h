/* encoder.h: a text, as it streams by, to tokens, by all cores; and its documents. */
#ifndef ENCODER_H
#define ENCODER_H

#include "base/error.h"
#include "data/tokenizer/tokenizer.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Beside the ids that a sink gets: a document begins with this token. */
#define ENCODER_DOCUMENT ((uint32_t)1 << 31)

struct encoder_config {
    const struct tokenizer *tokenizer;
    const char *separator; /* as in struct words_config */
    size_t separator_length;
    /* The first token of each document has ENCODER_DOCUMENT added; its last is the end-of-text token, if the tokenizer has one. Empty
     * documents are left out. Not `documents`: neither. */
    bool documents;
    int (*sink)(void *context, const uint32_t *ids, size_t n,
                struct error *err); /* all tokens, in order */
    void *context;
};

struct encoder;
struct encoder *encoder_create(const struct encoder_config *config, struct error *err);
int encoder_append(struct encoder *e, const char *text, size_t n, struct error *err);
/* A file of the text ends, where its words, if they are words, may go on in the next: error lines of char count bytes from here. */
int encoder_end_file(struct encoder *e, struct error *err);
int encoder_end_document(struct encoder *e, struct error *err);
int encoder_finish(struct encoder *e, struct error *err);
void encoder_destroy(struct encoder *e);

#endif
