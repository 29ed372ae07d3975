/* tokenize.c: handgrad tokenize. */
#include "data/corpus/tokenize.h"
#include "base/stop.h"
#include "data/shard.h"
#include "data/tokenizer/tokenizer.h"
#include "train/cli/command.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct arguments {
    struct tokenize_plan plan;
    struct operand_list texts;
    struct string_list specials;
    const char *separator; /* with escape sequences */
    char unescaped[256];
};

/* Replaces \n, \t, \r and \\ in a text of 1 to size - 1 bytes. */
static bool unescape(const char *text, char *out, size_t size)
{
    static const char names[] = "ntr\\", values[] = "\n\t\r\\";
    size_t n = 0;
    for (; *text && n + 1 < size; text++) {
        out[n] = *text;
        if (*text == '\\') {
            const char *name = *++text ? strchr(names, *text) : NULL;
            if (!name)
                return false;
            out[n] = values[name - names];
        }
        n++;
    }
    out[n] = '\0';
    return n > 0 && !*text;
}

static int check(struct arguments *a, struct error *err)
{
    struct tokenize_plan *p = &a->plan;
    p->texts = (const char *const *)a->texts.items;
    p->n_texts = a->texts.n;
    p->specials = a->specials.items;
    p->n_specials = a->specials.n;
    if ((p->pattern || p->n_specials) &&
        (!strcmp(p->tokenizer, "byte") || !strcmp(p->tokenizer, "char")))
        return fail(err, "--pattern and --special are only valid for bpe, not for %s",
                    p->tokenizer);
    if (p->val == 1)
        return fail(err, "--val: '1': expected a number below 1");
    if (a->separator && !unescape(a->separator, a->unescaped, sizeof a->unescaped))
        return fail(err,
                    "--document-separator: '%s': expected 1 to 255 bytes, with \\ only in "
                    "\\n, \\t, \\r and \\\\",
                    a->separator);
    p->separator = a->separator ? a->unescaped : NULL;
    return 0;
}

/* What the user may not have meant. */
static void print_remarks(const struct tokenize_result *r, const struct tokenize_plan *p)
{
    const double val = 1 - (double)r->train_tokens / r->tokens;
    if (r->ends)
        fprintf(stderr,
                "handgrad: the text contains " END_OF_TEXT " %" PRIu64
                " times, which is ordinary text unless --document-separator '" END_OF_TEXT
                "' makes it the end of documents\n",
                r->ends);
    if (p->separator && !r->separators)
        fprintf(stderr, "handgrad: --document-separator: does not occur in the text\n");
    if (r->val_documents && fabs(val - p->val) > 0.1 * p->val)
        fprintf(stderr,
                "handgrad: --val %g: whole documents come no nearer than %.3g of the tokens\n",
                p->val, val);
}

static void print_summary(const struct tokenize_result *r, const char *dir)
{
    printf("%zu file%s, %" PRIu64 " bytes: %" PRIu64 " tokens of a vocabulary of %zu (%s)\n",
           r->files, r->files == 1 ? "" : "s", r->bytes, r->tokens, r->vocab_size, r->kind);
    if (r->documents)
        printf("%" PRIu64 " document%s: train %" PRIu64 ", val %" PRIu64 "\n", r->documents,
               r->documents == 1 ? "" : "s", r->documents - r->val_documents, r->val_documents);
    printf("train %" PRIu64 ", val %" PRIu64 " tokens in %s\n", r->train_tokens,
           r->tokens - r->train_tokens, dir);
}

int command_tokenize(int argc, char **argv, struct error *err)
{
    struct arguments a = {.plan = {.tokenizer = "bpe", .val = 0.1, .shard_tokens = SHARD_TOKENS}};
    struct tokenize_plan *p = &a.plan;
    const struct option_spec options[] = {
        {"TEXT", .operands = &a.texts},
        {"output", 'o', "DIR", "Folder for the shards and tokenizer.h5; created if missing",
         .required = true, .string = &p->dir},
        {"tokenizer", 0, "byte|char|bpe|bpe:SIZE|FILE",
         "byte: 256 bytes. char: the code points that occur in the text. bpe:SIZE: byte-pair "
         "encoding learned from the text, with SIZE tokens in total. bpe: the same, with 512 to "
         "16384 tokens by the length of the text. FILE: an existing tokenizer.h5, tokenizer.json, "
         "vocab.json (with merges.txt in the same folder) or .tiktoken file, or a checkpoint (bpe)",
         .string = &p->tokenizer},
        {"pattern", 0, "gpt2|gpt4|gpt4o|REGEX",
         "For bpe: how text is split into words (that of the tokenizer's file; otherwise gpt2)",
         .string = &p->pattern},
        {"special", 0, "NAME",
         "For bpe: a special token in addition to <|endoftext|>; may be repeated",
         .list = &a.specials},
        {"document-separator", 0, "TEXT",
         "Separator between documents, which is not part of the text; "
         "\\n is a line feed, \\t a tab",
         .string = &a.separator},
        {"document-files", 0, NULL, "Treat each file as a document", .flag = &p->document_files},
        {"json-field", 0, "NAME",
         "The field of JSON lines that has a document's text (text). If given, standard input and "
         "other pipes are JSON lines",
         .string = &p->json_field},
        {"shard-tokens", 0, "N", "Maximum number of tokens per shard (100000000)",
         .count = &p->shard_tokens, .min = 1, .max = SHARD_MAX_TOKENS},
        {"val", 0, "FRACTION",
         "Fraction of the tokens that form the validation split, taken from the end; if there are "
         "documents, the whole documents that come nearest to it; 0 for none (0.1)",
         .number = &p->val, .low = 0, .high = 1},
        {"val-seed", 0, "S",
         "Choose documents for the validation split in the random order of this seed, not from the "
         "end",
         .count = &p->val_seed, .min = 1},
        {"force", 0, NULL, "Replace existing shards and tokenizer in DIR", .flag = &p->force},
        {0}};
    parse_command_line(
        argc, argv, options, "TEXT… -o DIR",
        "Converts text to shards of tokens: DIR/train-NNNNN.h5, DIR/val-NNNNN.h5 and "
        "DIR/tokenizer.h5.\v"
        "TEXT is a file, a folder, or - for standard input. In a folder, all regular files except "
        "hidden ones are read, recursively and sorted by name; symbolic links are followed. Files "
        "compressed by gzip, bzip2, xz or zstd are decompressed. Files are concatenated with "
        "nothing in between. A file named *.jsonl has one document per line: a JSON object with "
        "the text in the field text.\n\n"
        "Text is UTF-8. byte and char reject invalid UTF-8; bpe accepts any bytes. No character "
        "and no document is divided between train and val. <|endoftext|> is appended to each "
        "document, unless an existing tokenizer lacks that token; in the text itself, the string "
        "is ordinary text.\n\n"
        "The same input gives the same files, byte for byte. An interrupted run leaves nothing "
        "that could be mistaken for data.");
    if (check(&a, err))
        return WRONG_USAGE;
    struct tokenize_result result;
    stop_on_signals(false);
    if (tokenize(p, &result, err))
        return -1;
    print_summary(&result, p->dir);
    print_remarks(&result, p);
    return 0;
}
