/* inspect.c: `handgrad inspect FILE.h5`: what a checkpoint, a shard or a tokenizer holds, and, with --verify, whether all of it is
 * sound. */
#include "train/cli/inspect.h"
#include "data/hdf5/h5_read.h"
#include "data/shard.h"
#include "data/tokenizer/tokenizer.h"
#include "train/checkpoint/image.h"
#include "train/cli/command.h"
#include "train/report/history.h"
#include "train/report/plot.h"

#include <argp.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Much of what is printed comes from the file: no control characters reach the terminal. */
static void format_line(struct error *line, const char *format, va_list args)
{
    char text[sizeof line->text];
    vsnprintf(text, sizeof text, format, args);
    fail(line, "%s", text);
}

void inspect_problem(struct inspect *in, const char *format, ...)
{
    struct error line;
    va_list args;
    va_start(args, format);
    format_line(&line, format, args);
    va_end(args);
    fflush(stdout);
    fprintf(stderr, "handgrad: %s: %s\n", in->path, line.text);
    in->problems++;
}

void inspect_title(const struct inspect *in, const char *format, ...)
{
    struct error line;
    struct stat st;
    va_list args;
    va_start(args, format);
    format_line(&line, format, args);
    va_end(args);
    printf(in->bold ? "\033[1m%s\033[0m  %s" : "%s  %s", in->path, line.text);
    if (!stat(in->path, &st)) {
        static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
        double size = (double)st.st_size;
        int unit = 0;
        for (; size >= 1000 && unit < 4; unit++)
            size /= 1000;
        printf(", %.*f %s", unit && size < 100 ? 1 : 0, size, units[unit]);
    }
    printf("\n\n");
}

void inspect_line(const char *label, const char *format, ...)
{
    struct error line;
    va_list args;
    va_start(args, format);
    format_line(&line, format, args);
    va_end(args);
    printf("  %-11s %s\n", label, line.text);
}

char *inspect_count(uint64_t n, char text[32])
{
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%" PRIu64, n);
    char *to = text;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = 0;
    return text;
}

int inspect_print_json(cJSON *object, struct error *err)
{
    char *text = object ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    if (!text)
        return fail(err, "out of memory");
    puts(text);
    cJSON_free(text);
    return 0;
}

/* --- shards --- */

static cJSON *shard_json(const struct shard_info *info, const struct inspect *in)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "kind", "shard");
    cJSON_AddStringToObject(object, "file", in->path);
    cJSON_AddStringToObject(object, "split", info->split);
    cJSON_AddNumberToObject(object, "index", (double)info->index);
    cJSON_AddNumberToObject(object, "count", (double)info->count);
    cJSON_AddNumberToObject(object, "tokens", (double)info->tokens);
    cJSON_AddNumberToObject(object, "bytes", (double)info->bytes);
    if (info->has_documents)
        cJSON_AddNumberToObject(object, "documents", (double)info->documents);
    cJSON *tokenizer = cJSON_AddObjectToObject(object, "tokenizer");
    cJSON_AddStringToObject(tokenizer, "kind", info->tokenizer_kind);
    cJSON_AddNumberToObject(tokenizer, "vocab_size", (double)info->vocab_size);
    cJSON_AddStringToObject(tokenizer, "fingerprint", info->tokenizer_fingerprint);
    cJSON_AddStringToObject(object, "corpus", info->corpus);
    cJSON_AddStringToObject(object, "sha256", info->sha256);
    cJSON_AddItemToObject(object, "sources", cJSON_Parse(info->sources));
    if (in->verify)
        cJSON_AddBoolToObject(object, "verified", !in->problems);
    return object;
}

/* The texts that the tokens come from; JSON of the file's, so any of it may be missing. */
static void print_sources(const char *text)
{
    char count[32];
    cJSON *sources = cJSON_Parse(text);
    const cJSON *source;
    const char *label = "sources";
    cJSON_ArrayForEach(source, sources)
    {
        const cJSON *path = cJSON_GetObjectItem(source, "path"),
                    *bytes = cJSON_GetObjectItem(source, "bytes"),
                    *sha = cJSON_GetObjectItem(source, "sha256");
        const double n =
            cJSON_IsNumber(bytes) && bytes->valuedouble >= 0 && bytes->valuedouble < 0x1p63
                ? bytes->valuedouble
                : 0;
        inspect_line(label, "%s, %s bytes, %.12s…", cJSON_IsString(path) ? path->valuestring : "?",
                     inspect_count((uint64_t)n, count),
                     cJSON_IsString(sha) ? sha->valuestring : "?");
        label = "";
    }
    cJSON_Delete(sources);
}

static void print_shard(const struct shard_info *info, const struct inspect *in)
{
    char a[32], b[32];
    inspect_title(in, "shard %" PRIu64 " of %" PRIu64 " of the %s split", info->index + 1,
                  info->count, info->split);
    inspect_line("tokens", "%s, from %s bytes of text", inspect_count(info->tokens, a),
                 inspect_count(info->bytes, b));
    if (info->has_documents)
        inspect_line("documents", "%s begin in it", inspect_count(info->documents, a));
    inspect_line("tokenizer", "%s, %s symbols, %.12s…", info->tokenizer_kind,
                 inspect_count(info->vocab_size, a), info->tokenizer_fingerprint);
    inspect_line("corpus", "%.12s…", info->corpus);
    inspect_line("sha256", "%s", info->sha256);
    print_sources(info->sources);
    if (in->verify && !in->problems)
        inspect_line("verified", "every chunk and every token");
}

static int inspect_shard(struct inspect *in, struct error *err)
{
    struct error why;
    struct shard *shard = shard_open(in->path, 0, err);
    if (!shard)
        return -1;
    if (in->verify && shard_verify(shard, &why)) {
        fprintf(stderr, "handgrad: %s\n", why.text);
        in->problems++;
    }
    int status = 0;
    if (in->json)
        status = inspect_print_json(shard_json(shard_get_info(shard), in), err);
    else
        print_shard(shard_get_info(shard), in);
    shard_close(shard);
    return status;
}

/* --- tokenizers --- */

/* The first symbols, one after the other, with the unprintable ones escaped. */
static void print_symbols(const struct tokenizer *t)
{
    enum { SHOWN = 200 };
    printf("  %-11s ", "symbols");
    for (size_t i = 0; i < tokenizer_vocab_size(t) && i < SHOWN; i++) {
        size_t length;
        const unsigned char *s = (const unsigned char *)tokenizer_bytes(t, (uint32_t)i, &length);
        const bool c1 =
            length == 2 && s[0] == 0xc2 && s[1] < 0xa0; /* U+0080 … U+009F control a terminal too */
        if (length == 1 && s[0] == '\n')
            fputs("\\n", stdout);
        else if (length == 1 && s[0] == '\t')
            fputs("\\t", stdout);
        else if (c1 || (length == 1 && (s[0] < 32 || s[0] >= 127)))
            printf("\\x%02x", s[length - 1]);
        else
            fwrite(s, 1, length, stdout);
    }
    puts(tokenizer_vocab_size(t) > SHOWN ? " …" : "");
}

static int inspect_tokenizer(struct inspect *in, struct error *err)
{
    struct tokenizer *t = tokenizer_load(in->path, err); /* which checks all of it */
    int status = 0;
    if (!t)
        return -1;
    if (in->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "kind", "tokenizer");
        cJSON_AddStringToObject(object, "file", in->path);
        cJSON_AddStringToObject(object, "tokenizer", tokenizer_kind(t));
        cJSON_AddNumberToObject(object, "vocab_size", (double)tokenizer_vocab_size(t));
        cJSON_AddStringToObject(object, "fingerprint", tokenizer_fingerprint(t));
        if (in->verify)
            cJSON_AddTrueToObject(object, "verified");
        status = inspect_print_json(object, err);
    } else {
        inspect_title(in, "%s tokenizer of %zu symbols", tokenizer_kind(t),
                      tokenizer_vocab_size(t));
        inspect_line("fingerprint", "%s", tokenizer_fingerprint(t));
        if (strcmp(tokenizer_kind(t), "byte"))
            print_symbols(t);
        if (in->verify)
            inspect_line("verified", "the vocabulary has this fingerprint");
    }
    tokenizer_destroy(t);
    return status;
}

/* --- the command --- */

/* A file of HDF5 without our user block: told apart by what its root holds. */
static int inspect_other(struct inspect *in, struct error *err)
{
    struct h5_reader *file = h5_open(in->path, err);
    if (!file)
        return -1;
    struct h5_node ignored;
    const bool is_shard = h5_member(h5_root(file), "tokens", &ignored);
    const bool is_tokenizer = !is_shard && h5_has_attribute(h5_root(file), "kind");
    h5_close(file);
    if (is_shard)
        return inspect_shard(in, err);
    if (is_tokenizer)
        return inspect_tokenizer(in, err);
    return fail(err, "%s: expected a checkpoint, a shard or a tokenizer of handgrad", in->path);
}

/* The losses of a run folder. */
static int inspect_plot(const struct inspect *in, struct error *err)
{
    struct history h;
    const struct terminal t = terminal_detect(STDOUT_FILENO);
    const int status = history_read(&h, in->path, err);
    if (!status)
        plot_losses(stdout, &h, &t);
    history_close(&h);
    return status;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct inspect *in = state->input;
    switch (key) {
    case 'v':
        in->verify = true;
        return 0;
    case 'p':
        in->plot = true;
        return 0;
    case 'j':
        in->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (in->path)
            argp_error(state, "one file at a time: what of '%s'?", arg);
        in->path = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which file?");
        return 0;
    case ARGP_KEY_END:
        if (in->plot && (in->json || in->verify))
            argp_error(state, "--plot and %s: one of them", in->json ? "--json" : "--verify");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int command_inspect(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"verify", 'v', NULL, 0, "read and check all of it; exit 1 where something is wrong", 0},
        {"plot", 'p', NULL, 0, "draw the losses of a run folder", 0},
        {"json", 'j', NULL, 0, "one object on a line, for scripts", 0},
        {0}};
    static const struct argp argp = {options,
                                     parse_option,
                                     "FILE.h5\n--plot RUN",
                                     "What a checkpoint, a shard or a tokenizer holds.",
                                     NULL,
                                     NULL,
                                     NULL};
    struct inspect in = {.bold = isatty(STDOUT_FILENO)};
    struct error err;
    argp_err_exit_status = 2;
    if (argp_parse(&argp, argc, argv, 0, NULL, &in))
        return 2;
    const int status = in.plot             ? inspect_plot(&in, &err)
                       : image_is(in.path) ? inspect_checkpoint(&in, &err)
                                           : inspect_other(&in, &err);
    if (status)
        fprintf(stderr, "handgrad: %s\n", err.text);
    return status || in.problems ? 1 : 0;
}
