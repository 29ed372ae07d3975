/* bpe_files.h: byte-pair encodings in files: our own group in HDF5, and the three kinds that others write.
 *
 *   vocab.json + merges.txt   GPT-2's (there encoder.json + vocab.bpe): ids and merges; bytes as printable characters
 *   NAME.tiktoken             OpenAI's: bytes in base64 and their ranks, which are the ids; merges are what follows from them
 *   tokenizer.json            Hugging Face's: all of it in one file
 * None of them is trusted: sizes are bounded, and bpe_create checks all that a tokenizer must be.
 */
#ifndef BPE_FILES_H
#define BPE_FILES_H

#include "base/digest.h"
#include "data/hdf5/h5_read.h"
#include "data/tokenizer/bpe.h"
#include <hdf5.h>

/* Where a file does not say: how it cuts words (a name or an expression; NULL: GPT-2's, or as the name of a .tiktoken file says), and
 * which special tokens follow the others. */
struct bpe_hints {
    const char *regex;
    const char *const *specials;
    size_t n_specials;
};

/* Reads a file of any of the three kinds; of vocab.json + merges.txt either. NULL where it is none, or not one that this program
 * understands: the line says what it is. */
struct bpe *bpe_load(const char *path, const struct bpe_hints *hints, struct error *err);

/* Into a folder: tokenizer.json; vocab.json and merges.txt. */
int bpe_save_json(const struct bpe *b, const char *folder, struct error *err);
int bpe_save_merges(const struct bpe *b, const char *folder, struct error *err);

/* The group of a tokenizer (tokenizer.h); the caller of bpe_write holds the HDF5 lock. */
int bpe_write(const struct bpe *b, hid_t group, const char *file, struct error *err);
struct bpe *bpe_read(struct h5_node group, uint64_t vocab_size, const char *file,
                     struct error *err);
/* All that decides ids. */
void bpe_digest(const struct bpe *b, struct digest *d);

#endif
