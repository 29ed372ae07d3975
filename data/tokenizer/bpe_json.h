/* bpe_json.h: what the writers of vocab.json and tokenizer.json share. */
#ifndef BPE_JSON_H
#define BPE_JSON_H

#include "data/tokenizer/bpe_files.h"
#include <cjson/cJSON.h>

/* {"token": id, …}, tokens in GPT-2's characters; NULL where memory is short. */
cJSON *bpe_vocab_json(const struct bpe *b);
/* "left right"; the caller frees it; NULL where memory is short. */
char *bpe_merge_line(const struct bpe *b, size_t rank);
/* Writes json, which is freed; NULL: memory was short. */
int bpe_save_text(const char *folder, const char *name, cJSON *json, struct error *err);

#endif
