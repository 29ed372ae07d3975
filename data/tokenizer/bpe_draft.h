/* bpe_draft.h: what the readers and writers of others' files share: a vocabulary whose tokens come in any order, and GPT-2's way to
 * write bytes as printable characters. */
#ifndef BPE_DRAFT_H
#define BPE_DRAFT_H

#include "data/tokenizer/bpe_files.h"
#include "data/tokenizer/bytemap.h"
#include <cjson/cJSON.h>

enum { BPE_FILE_MAX = 64 << 20 }; /* bytes; the largest that anybody publishes have half of it */

/* A whole regular file, terminated by a 0 that `size` does not count. The caller frees it. */
char *bpe_read_file(const char *path, size_t *size, struct error *err);

struct draft_token {
    const char *bytes;
    uint32_t length;
    uint8_t kind; /* enum bpe_kind; BPE_UNUSED: not set yet */
};

struct draft {
    const char *path; /* that error lines name */
    struct draft_token *tokens;
    size_t n, limit;    /* ids seen: below n; allowed: below limit */
    char *bytes;        /* room for tokens' bytes */
    size_t used, room;  /* of it */
    struct bytemap map; /* made by draft_index: normal tokens by their bytes … */
    uint32_t *ids;      /* … and their ids */
    struct bpe_parts parts;
};

/* For a file of `size` bytes with about n tokens: ids may leave BPE_MAX_SPECIAL gaps. */
int draft_create(struct draft *d, const char *path, size_t size, size_t n, struct error *err);
void draft_free(struct draft *d);
/* Token id is these bytes, which are copied. A second token of one id is an error. */
int draft_set(struct draft *d, double id, const char *bytes, size_t length, enum bpe_kind kind,
              struct error *err);
/* The same from GPT-2's characters; what is not written in them is a special token of this name. */
int draft_set_printable(struct draft *d, double id, const char *name, struct error *err);
/* Makes map and ids, once all tokens are set. */
int draft_index(struct draft *d, struct error *err);
uint32_t draft_find(const struct draft *d, const char *bytes, size_t length);
/* The next merge, from GPT-2's characters; `where` ("line 7") begins the error line. */
int draft_merge(struct draft *d, const char *left, size_t n_left, const char *right, size_t n_right,
                const char *where, struct error *err);
/* The special tokens of hints at the ids that follow, then bpe_create. */
struct bpe *draft_finish(struct draft *d, const char *regex, const struct bpe_hints *hints,
                         struct error *err);

/* GPT-2's bytes_to_unicode: bytes that print are themselves, the others are U+0100 and the following. From characters: the number of
 * bytes, or SIZE_MAX where it is none of those characters. bytes has room for n. */
size_t printable_to_bytes(const char *text, size_t n, char *bytes);
/* To characters, terminated: text has room for 2 n + 1. */
void bytes_to_printable(const char *bytes, size_t n, char *text);

/* The three readers; a file's text is size bytes. */
struct bpe *bpe_read_hugging_face(const char *path, const cJSON *root, size_t size,
                                  const struct bpe_hints *hints, struct error *err);
struct bpe *bpe_read_tiktoken(const char *path, char *text, size_t size,
                              const struct bpe_hints *hints, struct error *err);
struct bpe *bpe_read_merges(const char *vocab_path, const cJSON *vocab, size_t size,
                            const char *merges_path, char *merges, const struct bpe_hints *hints,
                            struct error *err);

#endif
