/* pattern.h: the pre-tokenizer of byte-level BPE: a regular expression (PCRE2) that cuts a text into words. Byte pairs are merged
 * inside a word, never across two.
 *
 * Every byte of a text belongs to one word: what the expression does not match is a word of its own, as Hugging Face's Split with
 * the behaviour "Isolated" has it. \s is Unicode's White_Space, as in Python, Rust and Oniguruma; PCRE2's own differs in U+180E.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>

struct pattern;

/* A name ("gpt2", "gpt4", "gpt4o"), or a regular expression. NULL where it is none; one line says why. */
struct pattern *pattern_create(const char *name_or_regex, struct error *err);
void pattern_destroy(struct pattern *p);
/* The expression as it was given, the named ones too, and its name, or NULL where it has none. */
const char *pattern_regex(const struct pattern *p);
const char *pattern_name(const struct pattern *p);
/* Bytes before a word that the expression may look at. */
size_t pattern_lookbehind(const struct pattern *p);

/* What one thread needs to match. The pattern must outlive it. */
struct matcher;
struct matcher *matcher_create(const struct pattern *p, struct error *err);
void matcher_destroy(struct matcher *m);

/* The word that begins at `begin` of text (length bytes of valid UTF-8, begin < length): its end, above begin. Where text is `open`,
 * more may follow it: 0 then says that the word's end is not known yet. `middle`: text is not the beginning of a line or document,
 * so ^ does not match there. Returns -1 where PCRE2 gives up. */
int matcher_next(struct matcher *m, const char *text, size_t length, size_t begin, bool open,
                 bool middle, size_t *end, struct error *err);

#endif
