/* tokenize.c: handgrad tokenize: text to shards.
 *
 * The text is read twice, as a stream: once to check and count it (and find its alphabet), once to encode it. So memory holds a
 * piece of text and the shard in hand, however long the text is; and all that can be wrong with the text is found before
 * anything is written.
 */
#include "../data/corpus.h"
#include "../data/shard.h"
#include "../data/text.h"
#include "../data/utf8.h"
#include "command.h"
#include <argp.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the command line --- */

struct options {
    char **texts;
    size_t n_texts;
    const char *dir, *tokenizer;
    double val;
    bool force;
    struct error misuse;
};

enum { OPTION_TOKENIZER = 256, OPTION_VAL, OPTION_FORCE };

static const struct argp_option OPTIONS[] = {
    {"output", 'o', "DIR", 0, "The folder for the shards and tokenizer.h5; it is made where it is missing", 0},
    {"tokenizer", OPTION_TOKENIZER, "byte|char|FILE", 0,
     "byte: the 256 bytes. char: the code points that occur in the text. FILE: an existing tokenizer.h5", 0},
    {"val", OPTION_VAL, "FRACTION", 0, "The part of the tokens, at the end, that becomes the val split (default 0.1; 0: none)",
     0},
    {"force", OPTION_FORCE, NULL, 0, "Replace the shards and the tokenizer that DIR holds", 0},
    {0}};

static const char DOC[] =
    "Turns text into shards of tokens: DIR/train-NNNNN.h5, DIR/val-NNNNN.h5 and DIR/tokenizer.h5.\v"
    "TEXT is a file or a folder. Of a folder all regular files are read, sorted by name, those in its folders included; hidden "
    "files and links are not. Files follow each other with nothing in between.\n\n"
    "Text is UTF-8, for every tokenizer: a byte that is not is an error. With the byte tokenizer the cut between train and val "
    "is moved back to the beginning of a character.\n\n"
    "The same text gives the same files, byte for byte.";

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    char *end;
    switch (key) {
    case 'o':
        o->dir = arg;
        break;
    case OPTION_TOKENIZER:
        o->tokenizer = arg;
        break;
    case OPTION_VAL:
        o->val = strtod(arg, &end);
        if (end == arg || *end || !(o->val >= 0 && o->val < 1)) {
            fail(&o->misuse, "--val %s: expected a fraction, 0 <= val < 1", arg);
            return EINVAL;
        }
        break;
    case OPTION_FORCE:
        o->force = true;
        break;
    case ARGP_KEY_ARGS:
        o->texts = state->argv + state->next;
        o->n_texts = (size_t)(state->argc - state->next);
        break;
    case ARGP_KEY_END:
        if (o->n_texts && o->dir && *o->dir && o->tokenizer)
            break;
        fail(&o->misuse, "tokenize: %s is missing (handgrad tokenize --help)",
             !o->n_texts           ? "TEXT"
             : !o->dir || !*o->dir ? "-o DIR"
                                   : "--tokenizer byte|char|FILE");
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* --- the first reading: check, count, find the alphabet --- */

struct job {
    const struct options *options;
    struct text text;
    struct tokenizer *tokenizer; /* NULL during the first reading of a char tokenizer that is yet to be made */
    uint8_t *seen;               /* of each code point, then */
    uint32_t *ids;               /* of a piece of text */
    uint64_t bytes, tokens, train, shards;
    struct corpus_writer *writer;
};

/* The tokenizer, where it does not depend on the text. */
static int prepare_tokenizer(struct job *j, struct error *err)
{
    const char *name = j->options->tokenizer;
    if (!(j->ids = malloc(TEXT_PIECE * sizeof *j->ids)))
        return fail(err, "out of memory");
    if (strcmp(name, "char") == 0)
        return (j->seen = calloc(CODE_POINTS, 1)) ? 0 : fail(err, "out of memory");
    struct error detail;
    j->tokenizer = strcmp(name, "byte") == 0 ? tokenizer_create_byte(&detail) : tokenizer_load(name, &detail);
    return j->tokenizer ? 0 : fail(err, "--tokenizer: neither byte nor char, and no tokenizer.h5: %s", detail.text);
}

static int count_piece(void *job, const struct text_file *file, const char *piece, size_t n, uint64_t offset, struct error *err)
{
    struct job *j = job;
    size_t tokens = 0;
    j->bytes += n;
    if (j->tokenizer) {
        struct error detail;
        if (tokenizer_encode_piece(j->tokenizer, piece, n, offset, j->ids, &tokens, &detail) != 0)
            return fail(err, "%s: %s", file->path, detail.text);
    } else {
        uint32_t c = 0;
        for (size_t i = 0; i < n; i += (size_t)utf8_decode(piece + i, n - i, &c), j->seen[c] = 1)
            tokens++;
    }
    j->tokens += tokens;
    return 0;
}

static int make_char_tokenizer(struct job *j, struct error *err)
{
    uint32_t *code_points = malloc(CODE_POINTS * sizeof *code_points);
    if (!code_points)
        return fail(err, "out of memory");
    size_t n = 0;
    for (uint32_t c = 0; c < CODE_POINTS; c++)
        if (j->seen[c])
            code_points[n++] = c;
    j->tokenizer = tokenizer_create_char(code_points, n, err);
    free(code_points);
    return j->tokenizer ? 0 : -1;
}

/* Where train ends: floor(n (1 - val)), as nanoGPT's int(n * 0.9). The rounding of the product may not move the cut. */
static int cut(struct job *j, struct error *err)
{
    const double val = j->options->val;
    j->train = j->tokens;
    if (val > 0)
        j->train = (uint64_t)floor((double)j->tokens * (1 - val) * (1 + 4 * DBL_EPSILON));
    if (strcmp(tokenizer_kind(j->tokenizer), "byte") == 0 && text_character_begin(&j->text, j->train, &j->train, err) != 0)
        return -1;
    if (j->train == 0 || (val > 0 && j->train >= j->tokens))
        return fail(err, "%s: %llu tokens are too few to cut a val split of --val %g off", j->options->texts[0],
                    (unsigned long long)j->tokens, val);
    return 0;
}

static int first_reading(struct job *j, struct error *err)
{
    if (prepare_tokenizer(j, err) != 0 || text_read(&j->text, count_piece, j, err) != 0)
        return -1;
    if (j->bytes == 0)
        return fail(err, "%s: no text: %zu file%s with 0 bytes", j->options->texts[0], j->text.n, j->text.n == 1 ? "" : "s");
    if (!j->tokenizer && make_char_tokenizer(j, err) != 0)
        return -1;
    return cut(j, err);
}

/* --- the second reading: encode and write --- */

static int write_piece(void *job, const struct text_file *file, const char *piece, size_t n, uint64_t offset, struct error *err)
{
    struct job *j = job;
    size_t tokens;
    /* The text was encoded, or its alphabet taken, before. */
    if (tokenizer_encode_piece(j->tokenizer, piece, n, offset, j->ids, &tokens, NULL) != 0)
        return fail(err, "%s: changed between the two readings", file->path);
    return corpus_writer_append(j->writer, j->ids, tokens, err);
}

static int second_reading(struct job *j, struct error *err)
{
    char *sources = text_json(&j->text);
    if (!sources)
        return fail(err, "out of memory");
    const struct corpus_plan plan = {j->options->dir, j->tokenizer, j->train, j->tokens - j->train, SHARD_MAX_TOKENS, sources};
    j->writer = corpus_writer_create(&plan, err);
    int status = !j->writer || text_read(&j->text, write_piece, j, err) != 0 ? -1 : 0;
    if (status == 0)
        status = corpus_writer_finish(j->writer, err);
    else
        corpus_writer_discard(j->writer);
    free(sources);
    return status;
}

static void print_summary(const struct job *j)
{
    printf("%zu file%s, %llu bytes: %llu tokens of a vocabulary of %zu (%s)\n", j->text.n, j->text.n == 1 ? "" : "s",
           (unsigned long long)j->bytes, (unsigned long long)j->tokens, tokenizer_vocab_size(j->tokenizer),
           tokenizer_kind(j->tokenizer));
    printf("train %llu, val %llu tokens in %s\n", (unsigned long long)j->train, (unsigned long long)(j->tokens - j->train),
           j->options->dir);
}

/* --- all of it --- */

static int collect_text(struct job *j, const struct corpus_folder *folder, struct error *err)
{
    struct text_skip skip = {.is_output = corpus_owns};
    if (fstat(folder->fd, &skip.folder) != 0)
        return fail(err, "%s: %s", folder->path, strerror(errno));
    for (size_t i = 0; i < j->options->n_texts; i++)
        if (text_add(&j->text, j->options->texts[i], &skip, err) != 0)
            return -1;
    return 0;
}

static int tokenize(const struct options *o, struct error *err)
{
    struct job j = {.options = o};
    struct corpus_folder folder;
    if (corpus_folder_open(&folder, o->dir, err) != 0)
        return -1;
    int status = 0;
    if (corpus_folder_is_taken(&folder) && !o->force)
        status = fail(err, "%s: already holds shards or a tokenizer (--force replaces them)", o->dir);
    if (status == 0 && (collect_text(&j, &folder, err) != 0 || first_reading(&j, err) != 0))
        status = -1;
    if (status == 0)
        status = corpus_folder_clear(&folder, err);
    if (status == 0 && second_reading(&j, err) != 0) {
        status = -1;
        corpus_folder_clear(&folder, NULL);
    }
    if (status == 0)
        print_summary(&j);
    corpus_folder_close(&folder, status != 0);
    tokenizer_destroy(j.tokenizer);
    text_free(&j.text);
    free(j.seen);
    free(j.ids);
    return status;
}

int command_tokenize(int argc, char **argv)
{
    static const struct argp parser = {OPTIONS, parse_option, "TEXT...", DOC, NULL, NULL, NULL};
    struct options o = {.val = 0.1};
    struct error err;
    argp_err_exit_status = 2;
    if (argp_parse(&parser, argc, argv, 0, NULL, &o) != 0) {
        fprintf(stderr, "handgrad: %s\n", o.misuse.text);
        return 2;
    }
    if (tokenize(&o, &err) == 0)
        return 0;
    fprintf(stderr, "handgrad: %s\n", err.text);
    return 1;
}
