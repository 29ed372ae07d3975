/* tokens.c: handgrad tokens: text to tokens, ids to text, and export of a tokenizer. */
#include "base/directories.h"
#include "data/tokenizer/bpe_files.h"
#include "data/tokenizer/tokenizer.h"
#include "train/cli/command.h"
#include "train/json.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    const char *tokenizer, *text, *export, *regex;
    bool json, decode, special, lines;
    struct string_list specials;
};

/* --- text to ids --- */

static cJSON *tokens_json(const struct tokenizer *t, const uint32_t *ids, size_t n, size_t bytes)
{
    cJSON *object = json_add(NULL, FIELDS(NUMBER("bytes", bytes), NUMBER("tokens", n)));
    cJSON_AddItemToObject(object, "ids", cJSON_CreateIntArray((const int *)ids, (int)n));
    cJSON *pieces = cJSON_AddArrayToObject(object, "pieces");
    for (size_t i = 0; i < n; i++) {
        size_t length;
        const char *piece = tokenizer_name(t, ids[i], &length);
        cJSON_AddItemToArray(pieces, json_string(piece, length));
    }
    return object;
}

static void print_tokens(const struct tokenizer *t, const uint32_t *ids, size_t n, size_t bytes)
{
    for (size_t i = 0; i < n; i++) {
        size_t length;
        const char *piece = tokenizer_name(t, ids[i], &length);
        printf("%8u  \"", ids[i]);
        print_escaped(piece, length, '"');
        puts(tokenizer_is_special(t, ids[i]) ? "\"  special" : "\"");
    }
    printf("%zu tokens, %zu bytes\n", n, bytes);
}

static int encode(const struct arguments *a, const struct tokenizer *t, const char *text,
                  size_t length, struct error *err)
{
    uint32_t *ids;
    size_t n;
    if (tokenizer_encode(t, text, length, a->special, &ids, &n, err))
        return -1;
    if (a->json)
        json_print(tokens_json(t, ids, n, length));
    else
        print_tokens(t, ids, n, length);
    free(ids);
    return 0;
}

/* --- ids to text --- */

/* Writes the bytes of a token. `what` names the id in the error message. */
static int write_token(FILE *stream, const struct tokenizer *t, double id, const char *what,
                       struct error *err)
{
    const size_t V = t->vocab_size;
    if (!(id >= 0 && id < (double)V) || id != (double)(uint32_t)id)
        return fail(err, "%.40s: expected an id from 0 to %zu", what, V - 1);
    size_t n;
    const char *bytes = tokenizer_name(t, id, &n);
    fwrite(bytes, 1, n, stream);
    return 0;
}

/* Decodes ids in decimal, separated by white space or commas. */
static int decode_text(FILE *stream, const struct tokenizer *t, const char *text, size_t length,
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
        if (write_token(stream, t, id, c, err) != 0)
            return -1;
        c = end;
    }
    return 0;
}

static int decode_array(FILE *stream, const struct tokenizer *t, const cJSON *array,
                        struct error *err)
{
    for (const cJSON *item = array->child; item; item = item->next)
        if (write_token(stream, t, cJSON_IsNumber(item) ? item->valuedouble : -1,
                        "an element of the array", err) != 0)
            return -1;
    return 0;
}

/* Decodes a JSON array, or text if array is NULL. */
static int decode(const struct arguments *a, const struct tokenizer *t, const cJSON *array,
                  const char *text, size_t length, struct error *err)
{
    char *decoded = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&decoded, &n);
    if (!stream)
        return fail(err, "out of memory");
    int status =
        array ? decode_array(stream, t, array, err) : decode_text(stream, t, text, length, err);
    if (fclose(stream) && !status)
        status = fail(err, "out of memory");
    if (!status && a->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddItemToObject(object, "text", json_string(decoded, n));
        json_print(object);
    } else if (!status) {
        fwrite(decoded, 1, n, stdout);
    }
    free(decoded);
    return status;
}

/* --- input --- */

static int run_line(const struct arguments *a, const struct tokenizer *t, const char *line,
                    size_t n, struct error *err)
{
    cJSON *json = cJSON_ParseWithLength(line, n);
    int status;
    if (a->decode && cJSON_IsArray(json))
        status = decode(a, t, json, NULL, 0, err);
    else if (!a->decode && cJSON_IsString(json) && !memmem(line, n, "\\u0000", 6))
        status = encode(a, t, json->valuestring, strlen(json->valuestring), err);
    else
        status = fail(err, "expected a JSON %s, got %.*s",
                      a->decode ? "array of ids" : "string without \\u0000", (int)(n < 60 ? n : 60),
                      line);
    cJSON_Delete(json);
    return status;
}

static int run_lines(const struct arguments *a, const struct tokenizer *t, struct error *err)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    int status = 0;
    for (size_t number = 1; status == 0 && (n = getline(&line, &size, stdin)) >= 0; number++) {
        struct error detail;
        if (run_line(a, t, line, n, &detail) != 0)
            status = fail(err, "line %zu: %s", number, detail.text);
    }
    if (status == 0 && !feof(stdin))
        status = fail(err, "standard input: %s", strerror(errno));
    free(line);
    return status;
}

/* All of standard input, with a terminating null byte. */
static char *read_input(size_t *n, struct error *err)
{
    char chunk[1 << 16], *text = NULL;
    FILE *stream = open_memstream(&text, n);
    if (!stream) {
        fail(err, "out of memory");
        return NULL;
    }
    for (size_t length; (length = fread(chunk, 1, sizeof chunk, stdin));)
        fwrite(chunk, 1, length, stream);
    int status = ferror(stdin) ? fail(err, "standard input: %s", strerror(errno)) : 0;
    if (fclose(stream) != 0 && status == 0)
        status = fail(err, "out of memory for the %zu bytes of standard input", *n);
    if (status == 0)
        return text;
    free(text);
    return NULL;
}

static int run_text(const struct arguments *a, const struct tokenizer *t, struct error *err)
{
    size_t n = a->text ? strlen(a->text) : 0;
    char *input = a->text ? NULL : read_input(&n, err);
    const char *text = a->text ? a->text : input;
    if (!text)
        return -1;
    const int status = a->decode ? decode(a, t, NULL, text, n, err) : encode(a, t, text, n, err);
    free(input);
    return status;
}

static int export(const struct arguments *a, const struct tokenizer *t, struct error *err)
{
    const struct bpe *b = t->bpe;
    if (!b)
        return fail(err, "%s: a %s tokenizer; only byte-pair encodings can be exported",
                    a->tokenizer, t->kind);
    return make_directories(a->export, NULL, err) || bpe_save_json(b, a->export, err) ||
           bpe_save_merges(b, a->export, err);
}

int command_tokens(int argc, char **argv, struct error *err)
{
    struct arguments a = {0};
    const struct option_spec options[] = {
        {"TOKENIZER", .operand = &a.tokenizer},
        {"TEXT", .operand = &a.text, .optional = true},
        {"decode", 'd', NULL, "Decode TEXT, a list of ids separated by spaces or commas",
         .flag = &a.decode},
        {"json", 'j', NULL, "Print one JSON object: ids and pieces, or the decoded text",
         .flag = &a.json},
        {"lines", 0, NULL,
         "Read a JSON string (with --decode, an array of ids) from each line of standard input and "
         "print one JSON object for each",
         .flag = &a.lines},
        {"special", 's', NULL,
         "Encode names of special tokens in the text as those tokens instead of as text",
         .flag = &a.special},
        {"export", 0, "DIR",
         "Write tokenizer.json, vocab.json and merges.txt of a BPE tokenizer to DIR",
         .string = &a.export},
        {"pattern", 0, "gpt2|gpt4|gpt4o|REGEX",
         "How a .tiktoken file splits text into words, if its name does not show it",
         .string = &a.regex},
        {"add-special", 0, "NAME", "Add a special token after those of the file; may be repeated",
         .list = &a.specials},
        {0}};
    parse_command_line(
        argc, argv, options, "TOKENIZER [TEXT]",
        "Prints the tokens of TEXT and their ids, or with --decode the text of ids. "
        "Without TEXT, reads standard input.\v"
        "TOKENIZER is a checkpoint, a folder of shards, tokenizer.h5, tokenizer.json, "
        "vocab.json with merges.txt in the same folder, or a .tiktoken file.");
    if (a.lines && a.text) {
        fail(err, "--lines reads standard input: TEXT is not allowed");
        return WRONG_USAGE;
    }
    a.json |= a.lines;
    const struct bpe_hints hints = {a.regex, a.specials.items, a.specials.n};
    struct tokenizer *t = tokenizer_load_any(a.tokenizer, &hints, err);
    if (!t)
        return -1;
    const int status = a.export  ? export(&a, t, err)
                       : a.lines ? run_lines(&a, t, err)
                                 : run_text(&a, t, err);
    tokenizer_destroy(t);
    return status;
}
