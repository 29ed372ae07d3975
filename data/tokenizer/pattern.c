/* pattern.c: see pattern.h. Uses PCRE2 with its JIT compiler.
 *
 * A text comes in pieces, and a piece may end inside a word. With PCRE2_PARTIAL_HARD, a match that
 * has inspected the end of the piece is reported as partial. So the words do not depend on where
 * pieces end, whatever the expression.
 */
#include "data/tokenizer/pattern.h"
#include "base/minmax.h"
#include "base/utf8.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { REGEX_MAX = 1 << 16, JIT_STACK = 1 << 20 };

/* From GPT-2's encoder.py and tiktoken's cl100k_base and o200k_base. */
static const struct {
    const char *name, *regex;
} NAMED[] = {
    {"gpt2", "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},
    {"gpt4", "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
             "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
             "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
    {"gpt4o", "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}"
              "\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
              "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}"
              "\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
              "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
};

/* Replaces \s and \S by a property, which PCRE2 has supported since 10.40. The caller frees the
 * result. */
static char *translate(const char *regex)
{
    const size_t n = strlen(regex);
    char *out = malloc(6 * n + 1), *o = out;
    for (size_t i = 0; out && i < n; i++) {
        const char c = regex[i], next = regex[i + 1];
        *o++ = c;
        if (c != '\\' || i + 1 == n)
            continue;
        i++;
        if ((next == 's' || next == 'S') && (PCRE2_MAJOR > 10 || PCRE2_MINOR >= 40))
            o += strlen(strcpy(o, next == 's' ? "p{wspace}" : "P{wspace}"));
        else
            *o++ = next;
    }
    if (out)
        *o = '\0';
    return out;
}

static int compile(struct pattern *p, struct error *err)
{
    int error;
    PCRE2_SIZE at;
    char *translated = translate(p->regex);
    if (!translated)
        return fail(err, "pattern: out of memory");
    p->code = pcre2_compile((PCRE2_SPTR)translated, PCRE2_ZERO_TERMINATED,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &error, &at, NULL);
    free(translated);
    if (!p->code) {
        char message[256];
        pcre2_get_error_message(error, (PCRE2_UCHAR *)message, sizeof message);
        return fail(err, "pattern \"%.200s\": not a regular expression: %s", p->regex, message);
    }
    uint32_t lookbehind = 0;
    pcre2_pattern_info(p->code, PCRE2_INFO_MAXLOOKBEHIND, &lookbehind);
    p->lookbehind = 4 * (size_t)lookbehind; /* from characters */
    /* If this fails, the slower interpreter is used. So it is under valgrind, which cannot know
     * that compiled code ignores what it reads beyond the end of a text. */
#ifndef NO_JIT
    (void)pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
#endif
    return 0;
}

struct pattern *pattern_create(const char *regex, struct error *err)
{
    const char *name = NULL;
    for (size_t i = 0; i < sizeof NAMED / sizeof *NAMED; i++)
        if (strcmp(regex, NAMED[i].name) == 0 || strcmp(regex, NAMED[i].regex) == 0) {
            name = NAMED[i].name;
            regex = NAMED[i].regex;
        }
    if (!*regex || strlen(regex) > REGEX_MAX)
        return fail_null(err,
                         "pattern: expected gpt2, gpt4, gpt4o or a regular expression of at most "
                         "%d bytes, got %zu bytes",
                         REGEX_MAX, strlen(regex));
    struct pattern *p = calloc(1, sizeof *p);
    if (p)
        *p = (struct pattern){.regex = strdup(regex), .name = name};
    if (!p || !p->regex)
        fail(err, "pattern: out of memory");
    else if (compile(p, err) == 0)
        return p;
    pattern_destroy(p);
    return NULL;
}

void pattern_destroy(struct pattern *p)
{
    if (!p)
        return;
    pcre2_code_free(p->code);
    free(p->regex);
    free(p);
}

struct matcher {
    const struct pattern *pattern;
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

struct matcher *matcher_create(const struct pattern *p, struct error *err)
{
    struct matcher *m = calloc(1, sizeof *m);
    if (m) {
        m->pattern = p;
        m->data = pcre2_match_data_create(1, NULL);
        m->context = pcre2_match_context_create(NULL);
        m->stack = pcre2_jit_stack_create(1 << 15, JIT_STACK, NULL);
    }
    if (!m || !m->data || !m->context) {
        matcher_destroy(m);
        return fail_null(err, "pattern: out of memory");
    }
    if (m->stack)
        pcre2_jit_stack_assign(m->context, NULL, m->stack);
    return m;
}

void matcher_destroy(struct matcher *m)
{
    if (!m)
        return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    free(m);
}

int matcher_next(struct matcher *m, const char *text, size_t length, size_t begin, bool open,
                 bool middle, size_t *end, struct error *err)
{
    const uint32_t options = PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY | (open ? PCRE2_PARTIAL_HARD : 0) |
                             (middle ? PCRE2_NOTBOL : 0);
    /* PCRE2's default, and more for a long run without a break, which it may retry at every byte.
     */
    pcre2_set_match_limit(m->context, size_min(10000000 + 64 * (length - begin), UINT32_MAX));
    const int r = pcre2_match(m->pattern->code, (PCRE2_SPTR)text, length, begin, options, m->data,
                              m->context);
    if (r == PCRE2_ERROR_PARTIAL || r == PCRE2_ERROR_NOMATCH) {
        *end = r == PCRE2_ERROR_PARTIAL || open ? 0 : length;
        return 0;
    }
    if (r < 0) {
        char message[256];
        pcre2_get_error_message(r, (PCRE2_UCHAR *)message, sizeof message);
        return fail(err, "pattern \"%.100s\": PCRE2 gives up at \"%.*s\": %s", m->pattern->regex,
                    (int)utf8_complete(text + begin, size_min(40, length - begin)), text + begin,
                    message);
    }
    const PCRE2_SIZE *match = pcre2_get_ovector_pointer(m->data);
    /* A match may begin later, which leaves a gap, or, with \K, anywhere. */
    *end = match[0] > begin ? match[0] : match[1];
    return *end > begin && *end <= length
               ? 0
               : fail(err, "pattern \"%.100s\": its words are not contiguous", m->pattern->regex);
}
