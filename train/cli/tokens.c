/* tokens.c: handgrad tokens: what a tokenizer makes of a text, ids to text, and a tokenizer to the files of others. */
#include "base/directories.h"
#include "base/utf8.h"
#include "data/tokenizer/bpe_files.h"
#include "data/tokenizer/tokenizer.h"
#include "train/cli/command.h"
#include "train/cli/options.h"
#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SPECIALS = 64 };

struct arguments {
    const char *tokenizer, *text, *export;
    bool json, decode, special, lines;
    struct bpe_hints hints;
    const char *specials[SPECIALS];
};

enum { PATTERN = 1000, ADD_SPECIAL, EXPORT, LINES };

static const struct argp_option options[] = {
    {"decode", 'd', NULL, 0, "TEXT is ids, with blanks or commas between them: write the text", 0},
    {"json", 'j', NULL, 0, "One JSON object: ids and pieces, or the text", 0},
    {"lines", LINES, NULL, 0,
     "Each line of the input is a JSON string (with --decode an array of ids), and gives a JSON "
     "object",
     0},
    {"special", 's', NULL, 0, "Names of special tokens in the text are these tokens, not text", 0},
    {"export", EXPORT, "DIR", 0,
     "Write tokenizer.json, vocab.json and merges.txt there (of a bpe tokenizer)", 0},
    {"pattern", PATTERN, "gpt2|gpt4|gpt4o|REGEX", 0,
     "How a .tiktoken file cuts words, where its name does not say", 0},
    {"add-special", ADD_SPECIAL, "NAME", 0,
     "A special token that follows those of the file; may be repeated", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 'd':
        a->decode = true;
        return 0;
    case 'j':
        a->json = true;
        return 0;
    case 's':
        a->special = true;
        return 0;
    case LINES:
        a->lines = true;
        return 0;
    case EXPORT:
        a->export = arg;
        return 0;
    case PATTERN:
        a->hints.regex = arg;
        return 0;
    case ADD_SPECIAL:
        if (a->hints.n_specials == SPECIALS)
            argp_error(state, "--add-special: more than %d", SPECIALS);
        a->specials[a->hints.n_specials++] = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (a->text)
            argp_error(state,
                       "'%s': expected TOKENIZER and TEXT; a text of several words wants quotes",
                       arg);
        *(a->tokenizer ? &a->text : &a->tokenizer) = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->tokenizer)
            argp_error(state, "TOKENIZER is missing");
        if (a->lines && a->text)
            argp_error(state, "--lines reads standard input: TEXT is one too many");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* --- text to ids --- */

/* A piece in quotes, whatever its bytes are. */
static void print_piece(const char *bytes, size_t n)
{
    uint32_t c;
    putchar('"');
    for (size_t i = 0; i < n;) {
        const int m = utf8_decode(bytes + i, n - i, &c);
        const unsigned char byte = (unsigned char)bytes[i];
        if (byte == '\n' || byte == '"' || byte == '\\')
            printf("\\%c", byte == '\n' ? 'n' : byte);
        else if (m <= 0 || byte < 0x20 || byte == 0x7F || (c >= 0x80 && c < 0xA0))
            printf("\\x%02x", byte);
        else
            fwrite(bytes + i, 1, (size_t)m, stdout);
        i += m > 0 && byte >= 0x20 ? (size_t)m : 1;
    }
    putchar('"');
}

/* JSON has no bytes: those that are no UTF-8 by themselves are shown as U+FFFD. */
static bool add_string(cJSON *object, const char *name, const char *bytes, size_t n)
{
    char *text = malloc(3 * n + 1);
    if (!text)
        return false;
    text[utf8_repair(bytes, n, text)] = '\0';
    cJSON *item = cJSON_CreateString(text);
    free(text);
    return cJSON_IsArray(object) ? cJSON_AddItemToArray(object, item)
                                 : cJSON_AddItemToObject(object, name, item);
}

static int print_json(cJSON *object, struct error *err)
{
    char *text = object ? cJSON_PrintUnformatted(object) : NULL;
    if (text)
        puts(text);
    cJSON_Delete(object);
    free(text);
    return text ? 0 : fail(err, "out of memory");
}

static int encode(const struct arguments *a, const struct tokenizer *t, const char *text,
                  size_t length, struct error *err)
{
    uint32_t *ids;
    size_t n, m;
    if ((a->special ? tokenizer_encode_special : tokenizer_encode)(t, text, length, &ids, &n,
                                                                   err) != 0)
        return -1;
    int status = 0;
    if (a->json || a->lines) {
        cJSON *o = cJSON_CreateObject(), *list, *pieces;
        cJSON_AddNumberToObject(o, "bytes", (double)length);
        cJSON_AddNumberToObject(o, "tokens", (double)n);
        list = cJSON_AddArrayToObject(o, "ids");
        pieces = cJSON_AddArrayToObject(o, "pieces");
        for (size_t i = 0; i < n; i++) {
            const char *piece = tokenizer_name(t, ids[i], &m);
            if (!cJSON_AddItemToArray(list, cJSON_CreateNumber(ids[i])) ||
                !add_string(pieces, NULL, piece, m)) {
                cJSON_Delete(o);
                o = NULL;
                break;
            }
        }
        status = print_json(o, err);
    } else {
        for (size_t i = 0; i < n; i++) {
            const char *piece = tokenizer_name(t, ids[i], &m);
            printf("%8u  ", ids[i]);
            print_piece(piece, m);
            puts(tokenizer_is_special(t, ids[i]) ? "  special" : "");
        }
        printf("%zu tokens, %zu bytes\n", n, length);
    }
    free(ids);
    return status;
}

/* --- ids to text --- */

struct decoded {
    char *text;
    size_t n;
    FILE *stream;
};

static int add_id(struct decoded *d, const struct tokenizer *t, double id, const char *what,
                  struct error *err)
{
    const size_t V = tokenizer_vocab_size(t);
    if (!(id >= 0 && id < (double)V) || id != (double)(uint32_t)id)
        return fail(err, "%.40s: expected an id from 0 to %zu", what, V - 1);
    size_t n;
    const char *bytes = tokenizer_name(t, (uint32_t)id, &n);
    fwrite(bytes, 1, n, d->stream);
    return 0;
}

static int add_ids(struct decoded *d, const struct tokenizer *t, const char *text, size_t length,
                   struct error *err)
{
    for (const char *c = text; c < text + length;) {
        if (isspace((unsigned char)*c) || *c == ',') {
            c++;
            continue;
        }
        char *end;
        const unsigned long long id =
            isdigit((unsigned char)*c) ? strtoull(c, &end, 10) : UINT64_MAX;
        if (add_id(d, t, (double)id, c, err) != 0)
            return -1;
        c = end;
    }
    return 0;
}

static int add_array(struct decoded *d, const struct tokenizer *t, const cJSON *array,
                     struct error *err)
{
    for (const cJSON *item = array->child; item; item = item->next)
        if (add_id(d, t, cJSON_IsNumber(item) ? item->valuedouble : -1, "an element of the array",
                   err) != 0)
            return -1;
    return 0;
}

/* Of an array, or of text. */
static int decode(const struct arguments *a, const struct tokenizer *t, const cJSON *array,
                  const char *text, size_t length, struct error *err)
{
    struct decoded d = {0};
    if (!(d.stream = open_memstream(&d.text, &d.n)))
        return fail(err, "out of memory");
    int status = array ? add_array(&d, t, array, err) : add_ids(&d, t, text, length, err);
    if (fclose(d.stream) != 0 && status == 0)
        status = fail(err, "out of memory");
    if (status == 0 && (a->json || a->lines)) {
        cJSON *o = cJSON_CreateObject();
        add_string(o, "text", d.text, d.n);
        status = print_json(o, err);
    } else if (status == 0) {
        fwrite(d.text, 1, d.n, stdout);
    }
    free(d.text);
    return status;
}

/* --- input --- */

static int run_line(const struct arguments *a, const struct tokenizer *t, const char *line,
                    size_t n, struct error *err)
{
    cJSON *json = cJSON_ParseWithLength(line, n);
    int status;
    if (a->decode ? !cJSON_IsArray(json)
                  : !cJSON_IsString(json) || memmem(line, n, "\\u0000", 6) != NULL)
        status = fail(err, "expected a JSON %s, got %.*s",
                      a->decode ? "array of ids" : "string, without \\u0000",
                      (int)(n < 60 ? n : 60), line);
    else if (a->decode)
        status = decode(a, t, json, NULL, 0, err);
    else
        status = encode(a, t, json->valuestring, strlen(json->valuestring), err);
    cJSON_Delete(json);
    return status;
}

static int input_failed(struct error *err)
{
    return fail(err, "standard input: %s", strerror(errno));
}

static int run_lines(const struct arguments *a, const struct tokenizer *t, struct error *err)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    int status = 0;
    for (size_t number = 1; status == 0 && (n = getline(&line, &room, stdin)) >= 0; number++) {
        struct error detail;
        if (run_line(a, t, line, (size_t)n, &detail) != 0)
            status = fail(err, "line %zu: %s", number, detail.text);
    }
    if (status == 0 && !feof(stdin))
        status = input_failed(err);
    free(line);
    return status;
}

/* With a zero behind it, where the numbers of a text of ids end. */
static char *read_input(size_t *n, struct error *err)
{
    char *text = NULL;
    size_t room = 0;
    *n = 0;
    do {
        if (room - *n < 4096) {
            char *larger = realloc(text, room = 2 * room + 8192);
            if (!larger) {
                free(text);
                fail(err, "out of memory for %zu bytes of standard input", room);
                return NULL;
            }
            text = larger;
        }
        *n += fread(text + *n, 1, room - *n - 1, stdin);
    } while (!feof(stdin) && !ferror(stdin));
    if (ferror(stdin)) {
        input_failed(err);
        free(text);
        return NULL;
    }
    text[*n] = '\0';
    return text;
}

static int run_text(const struct arguments *a, const struct tokenizer *t, struct error *err)
{
    size_t n = a->text ? strlen(a->text) : 0;
    char *text = a->text ? strdup(a->text) : read_input(&n, err);
    if (!text)
        return a->text ? fail(err, "out of memory") : -1;
    const int status = a->decode ? decode(a, t, NULL, text, n, err) : encode(a, t, text, n, err);
    free(text);
    return status;
}

static int export(const struct arguments *a, const struct tokenizer *t, struct error *err)
{
    const struct bpe *b = tokenizer_bpe(t);
    if (!b)
        return fail(err, "%s: a %s tokenizer; only byte-pair encodings can be exported",
                    a->tokenizer, tokenizer_kind(t));
    if (make_directories(a->export, NULL, err))
        return -1;
    return bpe_save_json(b, a->export, err) != 0 || bpe_save_merges(b, a->export, err) != 0 ? -1
                                                                                            : 0;
}

int command_tokens(int argc, char **argv)
{
    static const struct argp argp = {options,
                                     parse,
                                     "TOKENIZER [TEXT]",
                                     "Prints the tokens of TEXT (standard input where it is left "
                                     "out) and their ids; with --decode the text of ids.\v"
                                     "TOKENIZER is a checkpoint, a folder of shards, tokenizer.h5, "
                                     "tokenizer.json, vocab.json with merges.txt beside it, or a "
                                     ".tiktoken file.",
                                     NULL,
                                     NULL,
                                     NULL};
    struct arguments a = {0};
    struct error err;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    a.hints.specials = a.specials;
    struct tokenizer *t = tokenizer_load_any(a.tokenizer, &a.hints, &err);
    if (!t)
        return print_error(&err);
    const int status = a.export  ? export(&a, t, &err)
                       : a.lines ? run_lines(&a, t, &err)
                                 : run_text(&a, t, &err);
    tokenizer_destroy(t);
    return status ? print_error(&err) : 0;
}
