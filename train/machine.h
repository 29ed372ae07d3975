/* machine.h: descriptions of the machine and of the training data, for reports. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* The processor's name according to Linux, or `otherwise` if unknown. */
void machine_cpu(char *name, size_t size, const char *otherwise);

/* {cpu, cores, threads, memory (bytes), peak_flops, products, compiler, system}; NULL if out of
 * memory. peak_flops: the measured rate of matrix products in the run's precision, 0 if unknown. */
cJSON *machine_json(double peak_flops, bool bf16);

/* {dir, train_tokens, val_tokens, fingerprint, tokenizer, vocab_size, sources} of a data directory;
 * what cannot be read is left out. */
cJSON *data_json(const char *dir);
