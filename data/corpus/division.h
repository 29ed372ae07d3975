/* division.h: divides the tokens of a text into a training and a validation split. */
#pragma once

#include "base/error.h"
#include "data/documents.h"
#include <stddef.h>
#include <stdint.h>

/* The order in which the tokens of a text, as encoded, are written: first those of the training
 * split, then those of the validation split, each in the order of the text. */
struct division {
    struct division_part {
        uint64_t first; /* its first token, in the order of writing */
        uint64_t begin; /* in the text */
    } * parts;          /* (n + 1); the last marks the end */
    size_t n;
    uint64_t train;         /* tokens of the training split */
    uint64_t val_documents; /* 0 if the text has no documents */
};

/* Divides the text at a token. -1 if memory is short. */
int division_at(struct division *d, uint64_t train, uint64_t tokens);

/* Chooses the documents for the validation split, at least one of n >= 2 but not all, so that their
 * tokens are as near to `fraction` of all as possible. Of equally good choices, it prefers the last
 * documents, or if `seed` is not 0, documents in an order that it selects. Up to
 * DIVISION_EXACT documents, the choice is the best to 1e-5 of all tokens for each document; beyond,
 * each document in order is taken if it brings the sum nearer. -1 if memory is short. */
enum { DIVISION_EXACT = 1000 };
int division_by_documents(struct division *d, const struct documents *text, double fraction,
                          uint64_t seed);
void division_free(struct division *d);

/* Where token `first`, in the order of writing, is in the text; *length tokens follow each other
 * there. */
uint64_t division_find(const struct division *d, uint64_t first, uint64_t *length);
