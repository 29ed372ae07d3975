/* suggest.h: finds the name that a mistyped word was probably meant to be, for "did you mean
 * …?". */
#pragma once

#include <stddef.h>

/* The edit distance from word to name: how many insertions, deletions, substitutions and swaps of
 * adjacent characters turn one into the other (optimal string alignment). SIZE_MAX if it exceeds a
 * third of the word, where a suggestion would be a guess. */
size_t suggest_distance(const char *word, const char *name);

/* The name with the smallest distance, the first of equals; NULL if none is close enough. */
const char *suggest_nearest(const char *word, const char *const *names, size_t n);
