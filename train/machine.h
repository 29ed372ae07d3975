/* machine.h: what a run was made on and from, for its report. */
#ifndef MACHINE_H
#define MACHINE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* The processor's name, as Linux tells it, or else `otherwise`. */
void machine_cpu(char *name, size_t size, const char *otherwise);

/* {cpu, cores, threads, memory (bytes), peak_flops, products, compiler, system}; NULL where memory is short. peak_flops: the measured rate of
 * the products of the run's precision, 0 where it is not known. */
cJSON *machine_json(double peak_flops, bool bf16);

/* {dir, train_tokens, val_tokens, tokenizer, vocab_size, sources} of a data folder that has been opened before; what cannot be
 * read is left out. */
cJSON *data_json(const char *dir);

#endif
