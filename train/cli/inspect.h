/* inspect.h: shared by the parts of handgrad inspect. Each kind of file is described by one JSON
 * object, which is printed as it is or as text. */
#pragma once

#include "base/error.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

enum { INSPECT_INDENT = 20 }; /* column of the values */

struct inspect {
    const char *path;
    bool verify, json, plot, sources;
    unsigned problems; /* found by --verify */
};

/* {"kind", "file"}: the members that all descriptions begin with. */
cJSON *inspect_begin(const struct inspect *in, const char *kind);
/* Adds "tokenizer": {"kind", "vocab_size", "fingerprint"}. */
void inspect_add_tokenizer(cJSON *object, const char *kind, uint64_t vocab_size,
                           const char *fingerprint);
/* Adds "verified" if the user asked for it, prints the description and frees it. */
void inspect_print(const struct inspect *in, cJSON *object);
/* Prints an error message to stderr and counts it. The message names the file. */
void inspect_problem(struct inspect *in, const struct error *problem);

/* {"name", "shape", "mean", "std", "min", "max", "non_finite"} of a tensor of n elements. Takes
 * over `shape`. */
cJSON *inspect_tensor(const char *name, cJSON *shape, const float *x, size_t n);

int inspect_checkpoint(struct inspect *in, struct error *err);
struct h5_reader;
int inspect_gradient(struct inspect *in, const struct h5_reader *file, struct error *err);
