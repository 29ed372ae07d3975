/* bpe_internal.h: a tokenizer's tables, shared by bpe.c, which makes them, and bpe_encode.c, which uses them. */
#ifndef BPE_INTERNAL_H
#define BPE_INTERNAL_H

#include "data/tokenizer/bpe.h"
#include "data/tokenizer/pairmap.h"

struct bpe {
    struct bpe_parts parts;
    struct pattern *pattern;
    struct pairmap pairs;            /* of two tokens: the rank of their merge */
    struct bytemap tokens, specials; /* normal tokens by their bytes, special ones by their names */
    uint32_t *token_ids, *special_ids;
    uint32_t byte_ids[BPE_BYTES];
};

#endif
