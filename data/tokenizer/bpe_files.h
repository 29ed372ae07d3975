/* bpe_files.h: byte-pair encodings in files: our group in HDF5, and three kinds of other programs:
 *
 *   vocab.json + merges.txt   GPT-2 (there encoder.json + vocab.bpe): ids and merges
 *   NAME.tiktoken             OpenAI: tokens and their ranks, from which merges follow
 *   tokenizer.json            Hugging Face: everything in one file
 *
 * Files are untrusted: sizes are bounded, and bpe_create checks the model.
 */
#ifndef BPE_FILES_H
#define BPE_FILES_H

#include "base/digest.h"
#include "data/hdf5/h5_read.h"
#include "data/tokenizer/bpe.h"
#include <hdf5.h>

/* What a file may not state: the pre-tokenizer (a name or an expression; NULL: GPT-2's, or the one
 * that belongs to the name of a .tiktoken file), and the special tokens after the others. */
struct bpe_hints {
    const char *regex;
    const char *const *specials;
    size_t n_specials;
};

/* Reads a file of any of the three kinds; of vocab.json and merges.txt, either one. */
struct bpe *bpe_load(const char *path, const struct bpe_hints *hints, struct error *err);

/* Write tokenizer.json, or vocab.json and merges.txt, into a directory. */
int bpe_save_json(const struct bpe *b, const char *dir, struct error *err);
int bpe_save_merges(const struct bpe *b, const char *dir, struct error *err);

/* The group of a tokenizer (tokenizer.h). The caller of bpe_write holds the HDF5 lock. */
int bpe_write(const struct bpe *b, hid_t group, const char *file, struct error *err);
struct bpe *bpe_read(struct h5_node group, uint64_t vocab_size, struct error *err);
/* Covers everything that determines ids. */
void bpe_digest(const struct bpe *b, struct digest *d);

#endif
