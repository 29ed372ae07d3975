/* encoder.h: encodes a text stream as tokens, on all cores, and marks its documents. */
#pragma once

#include "base/error.h"
#include "data/documents.h"
#include "data/tokenizer/pretokenizer.h"
#include "data/tokenizer/tokenizer.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct encoder_config {
    const struct tokenizer *tokenizer;
    const char *separator; /* as in struct pretokenizer_config */
    /* Mark the first token of each document with DOCUMENT_BEGIN, and append the end-of-text token
     * to each, if the tokenizer has one. Empty documents are omitted. */
    bool documents;
    /* Gets all tokens, in order. */
    int (*sink)(void *context, const uint32_t *ids, size_t n, struct error *err);
    void *context;
};

struct encoder;
struct encoder *encoder_create(const struct encoder_config *config, struct error *err);
/* What the text is passed to. */
struct pretokenizer *encoder_input(struct encoder *e);
int encoder_finish(struct encoder *e, struct error *err);
void encoder_destroy(struct encoder *e);
