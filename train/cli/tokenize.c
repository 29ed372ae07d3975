/* tokenize.c: handgrad tokenize: the command; its work is in tokenize_text.c and tokenize_write.c. */
#include "train/cli/tokenize.h"
#include "base/stop.h"
#include "data/shard.h"
#include "train/cli/command.h"
#include "train/cli/options.h"
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* --- the command line --- */

struct arguments {
    struct tokenize_options options;
    char separator[256];
    struct error misuse;
};

enum { TOKENIZER = 256, VAL, FORCE, PATTERN, SPECIAL, SEPARATOR, FILES, SHARD };

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "DIR", 0,
     "The folder for the shards and tokenizer.h5; it is made where it is missing", 0},
    {"tokenizer", TOKENIZER, "byte|char|bpe:SIZE|FILE", 0,
     "byte: the 256 bytes. char: the code points that occur in the text. bpe:SIZE: byte-pair "
     "encoding learned from the text, "
     "SIZE tokens "
     "in all. FILE: an existing tokenizer.h5, tokenizer.json, vocab.json (merges.txt beside it) or "
     ".tiktoken file, or a "
     "checkpoint",
     0},
    {"pattern", PATTERN, "gpt2|gpt4|gpt4o|REGEX", 0,
     "bpe: how text is cut into words (default: as GPT-2 does, or as the tokenizer's file says)",
     0},
    {"special", SPECIAL, "NAME", 0,
     "bpe:SIZE: a special token besides <|endoftext|>; may be repeated", 0},
    {"document-separator", SEPARATOR, "TEXT", 0,
     "What stands between documents, and is no text; \\n is a new line, \\t a tab", 0},
    {"document-files", FILES, NULL, 0, "Each file is a document", 0},
    {"shard-tokens", SHARD, "N", 0, "Tokens of a shard (default 100000000)", 0},
    {"val", VAL, "FRACTION", 0,
     "The part of the tokens, at the end, that becomes the val split (default 0.1; 0: none)", 0},
    {"force", FORCE, NULL, 0, "Replace the shards and the tokenizer that DIR holds", 0},
    {0}};

static const char DOC[] =
    "Turns text into shards of tokens: DIR/train-NNNNN.h5, DIR/val-NNNNN.h5 and DIR/tokenizer.h5.\v"
    "TEXT is a file or a folder. Of a folder all regular files are read, sorted by name, those in "
    "its folders included; hidden "
    "files and links are not. Files follow each other with nothing in between.\n\n"
    "Text is UTF-8: for byte and char a byte that is not is an error; bpe takes any bytes. The cut "
    "between train and val lies "
    "between "
    "two characters, or between two documents where there are any. Behind each document stands "
    "<|endoftext|>, if the tokenizer "
    "has it; "
    "in the text itself that is text like any other.\n\n"
    "The same text gives the same files, byte for byte. A run that is interrupted leaves nothing "
    "that is taken for data: run it "
    "again.";

/* "\\n" to a new line, and so on. */
static bool unescape(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; *text && n + 1 < size; text++) {
        if (*text != '\\') {
            out[n++] = *text;
            continue;
        }
        const char *known = strchr("nntt\\\\r\r", text[1]);
        if (!text[1] || !known)
            return false;
        out[n++] = text[1] == 'n' ? '\n' : text[1] == 't' ? '\t' : text[1] == 'r' ? '\r' : '\\';
        text++;
    }
    out[n] = '\0';
    return n > 0 && !*text;
}

static int check(const struct tokenize_options *o, struct error *misuse)
{
    if (!o->n_texts || !o->dir || !*o->dir || !o->tokenizer)
        return fail(misuse, "tokenize: %s is missing (handgrad tokenize --help)",
                    !o->n_texts           ? "TEXT"
                    : !o->dir || !*o->dir ? "-o DIR"
                                          : "--tokenizer byte|char|bpe:SIZE|FILE");
    if ((o->pattern || o->n_specials) &&
        (!strcmp(o->tokenizer, "byte") || !strcmp(o->tokenizer, "char")))
        return fail(misuse, "--pattern and --special are for bpe: %s has neither", o->tokenizer);
    return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    struct tokenize_options *o = &a->options;
    char *end;
    switch (key) {
    case 'o':
        o->dir = arg;
        break;
    case TOKENIZER:
        o->tokenizer = arg;
        break;
    case PATTERN:
        o->pattern = arg;
        break;
    case SPECIAL:
        if (o->n_specials == TOKENIZE_SPECIALS)
            return fail(&a->misuse, "--special: more than %d", TOKENIZE_SPECIALS), EINVAL;
        o->specials[o->n_specials++] = arg;
        break;
    case SEPARATOR:
        if (!unescape(arg, a->separator, sizeof a->separator))
            return fail(&a->misuse,
                        "--document-separator %s: expected 1 to 255 bytes; \\ only before n, t, r "
                        "and \\",
                        arg),
                   EINVAL;
        o->separator = a->separator;
        break;
    case FILES:
        o->document_files = true;
        break;
    case SHARD:
        o->shard_tokens = option_u64(state, "--shard-tokens", arg, 1, SHARD_MAX_TOKENS);
        break;
    case VAL:
        o->val = strtod(arg, &end);
        if (end == arg || *end || !(o->val >= 0 && o->val < 1))
            return fail(&a->misuse, "--val %s: expected a fraction, 0 <= val < 1", arg), EINVAL;
        break;
    case FORCE:
        o->force = true;
        break;
    case ARGP_KEY_ARGS:
        o->texts = state->argv + state->next;
        o->n_texts = (size_t)(state->argc - state->next);
        break;
    case ARGP_KEY_END:
        return check(o, &a->misuse) != 0 ? EINVAL : 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static void print_summary(const struct tokenize_job *j)
{
    printf("%zu file%s, %llu bytes: %llu tokens of a vocabulary of %zu (%s)\n", j->text.n,
           j->text.n == 1 ? "" : "s", (unsigned long long)j->bytes, (unsigned long long)j->tokens,
           tokenizer_vocab_size(j->tokenizer), tokenizer_kind(j->tokenizer));
    if (j->documents)
        printf("%llu document%s\n", (unsigned long long)j->documents, j->documents == 1 ? "" : "s");
    printf("train %llu, val %llu tokens in %s\n", (unsigned long long)j->train,
           (unsigned long long)(j->tokens - j->train), j->options->dir);
}

/* --- all of it --- */

static int collect_text(struct tokenize_job *j, const struct corpus_dir *folder, struct error *err)
{
    struct text_outputs outputs = {.is_output = corpus_owns};
    struct stat s;
    if (fstat(folder->fd, &outputs.dir) != 0)
        return fail(err, "%s: %s", folder->path, strerror(errno));
    for (size_t i = 0; i < j->options->n_texts; i++)
        if (text_add(&j->text, j->options->texts[i], &outputs, err) != 0)
            return -1;
    for (size_t i = 0; i < j->text.n; i++)
        if (stat(j->text.files[i].path, &s) == 0)
            j->total_bytes += (uint64_t)s.st_size;
    return 0;
}

static int tokenize(const struct tokenize_options *o, struct error *err)
{
    struct tokenize_job j = {.options = o};
    struct corpus_dir folder;
    if (corpus_dir_open(&folder, o->dir, err) != 0)
        return -1;
    int status = 0;
    if (corpus_dir_is_taken(&folder) && !o->force)
        status =
            fail(err, "%s: already holds shards or a tokenizer (--force replaces them)", o->dir);
    if (status == 0 && (collect_text(&j, &folder, err) != 0 || tokenize_prepare(&j, err) != 0 ||
                        tokenize_encode(&j, err) != 0 || tokenize_divide(&j, err) != 0))
        status = -1;
    if (status == 0)
        status = corpus_dir_clear(&folder, err);
    if (status == 0 && tokenize_write(&j, err) != 0) {
        status = -1;
        corpus_dir_clear(&folder, NULL);
    }
    if (status == 0)
        print_summary(&j);
    corpus_dir_close(&folder, status != 0);
    temp_tokens_destroy(j.spool);
    tokenizer_destroy(j.tokenizer);
    text_free(&j.text);
    return status;
}

int command_tokenize(int argc, char **argv)
{
    static const struct argp parser = {OPTIONS, parse_option, "TEXT...", DOC, NULL, NULL, NULL};
    struct arguments a = {.options = {.val = 0.1, .shard_tokens = SHARD_TOKENS}};
    struct error err;
    argp_err_exit_status = 2;
    if (argp_parse(&parser, argc, argv, 0, NULL, &a) != 0) {
        fprintf(stderr, "handgrad: %s\n", a.misuse.text);
        return 2;
    }
    stop_on_signals(false);
    return tokenize(&a.options, &err) == 0 ? 0 : print_error(&err);
}
