/* pattern.h: the regular expression (PCRE2) of a pre-tokenizer, which splits a text into words
 * ("pre-tokens"). Byte pairs are merged within words only.
 *
 * Every byte of a text belongs to a word: text between matches is a word too, like the behaviour
 * "Isolated" of Hugging Face's Split. \s is Unicode's White_Space, as in Python, Rust and
 * Oniguruma; PCRE2's own \s differs in U+180E.
 */
#pragma once

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

struct pattern {
    char *regex;
    const char *name;  /* or NULL */
    size_t lookbehind; /* bytes before a word that the expression may inspect */
    struct pcre2_real_code_8 *code;
};

/* From a name ("gpt2", "gpt4", "gpt4o") or a regular expression. */
struct pattern *pattern_create(const char *name_or_regex, struct error *err);
void pattern_destroy(struct pattern *p);

/* The working memory of one matching thread. The pattern must outlive it. */
struct matcher;
struct matcher *matcher_create(const struct pattern *p, struct error *err);
void matcher_destroy(struct matcher *m);

/* Finds the end of the word at `begin` (< length) of text, which is valid UTF-8. open: more text
 * may follow; *end is then 0 if it could change the word. middle: text is not the beginning of a
 * line or document, so ^ does not match there. Returns -1 if PCRE2 gives up. */
int matcher_next(struct matcher *m, const char *text, size_t length, size_t begin, bool open,
                 bool middle, size_t *end, struct error *err);
