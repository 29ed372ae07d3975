/* text.c: see text.h. */
#include "data/text.h"
#include "base/array.h"
#include "base/utf8.h"
#include "data/corpus.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <fts.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- finding files --- */

static int add_file(struct text *t, const char *path, struct error *err)
{
    char *copy = strdup(path);
    if (!copy || !array_reserve(&t->files, &t->capacity, t->n + 1)) {
        free(copy);
        return fail(err, "%s: out of memory", path);
    }
    t->files[t->n++] = (struct text_file){.path = copy};
    return 0;
}

/* Checks that the beginning of a file looks like a text: bytes that merely pass through a tokenizer
 * would train a model on noise. A file that cannot be read is reported when it is. */
static int check_text(const char *path, struct error *err)
{
    enum { BEGINNING = 1 << 16, ENOUGH = 512, INVALID_SHARE = 10 /* one in so many bytes */ };
    static const struct {
        const char *magic, *what;
    } formats[] = {{"\x1F\x8B", "compressed by gzip"},
                   {"\xFD\x37zXZ", "compressed by xz"},
                   {"\x28\xB5\x2F\xFD", "compressed by zstd"},
                   {"PK\3\4", "a zip archive"},
                   {"\xFF\xFE", "UTF-16, which iconv -f UTF-16 -t UTF-8 converts"},
                   {"\xFE\xFF", "UTF-16, which iconv -f UTF-16 -t UTF-8 converts"}};
    FILE *f = fopen(path, "re");
    char *bytes = f ? calloc(1, BEGINNING) : NULL;
    const size_t n = bytes ? fread(bytes, 1, BEGINNING, f) : 0;
    const char *nul = memchr(bytes ? bytes : "", 0, n);
    size_t invalid = 0;
    int status = 0;
    for (size_t i = 0; i < sizeof formats / sizeof *formats && !status; i++)
        if (n && !strncmp(bytes, formats[i].magic, strlen(formats[i].magic)))
            status = fail(err, "%s: not a text: it is %s", path, formats[i].what);
    if (!status && nul)
        status = fail(err, "%s: not a text: byte %zu is NUL", path, (size_t)(nul - bytes));
    uint32_t c;
    for (size_t i = 0; i < n && !status;) {
        const int m = utf8_decode(bytes + i, n - i, &c);
        invalid += m <= 0;
        i += m > 0 ? m : 1;
    }
    if (!status && n >= ENOUGH && invalid > n / INVALID_SHARE)
        status = fail(err, "%s: not a text in UTF-8: %zu of its first %zu bytes are invalid", path,
                      invalid, n);
    free(bytes);
    if (f)
        fclose(f);
    return status;
}

/* Adds a file of a directory, unless it is not a text, which is reported. */
static int add_if_text(struct text *t, const char *path, struct error *err)
{
    if (!check_text(path, err))
        return add_file(t, path, err);
    fprintf(stderr, "handgrad: skipping %s\n", err->text);
    return 0;
}

/* Whether a file is overwritten by tokenize. */
static bool is_output(const struct stat *output, const struct stat *dir, const char *name)
{
    return output && dir->st_dev == output->st_dev && dir->st_ino == output->st_ino &&
           corpus_owns(name);
}

/* By bytes, so that the order does not depend on the locale. */
static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Adds an entry of a directory tree. */
static int add_entry(struct text *t, FTS *tree, FTSENT *e, const struct stat *output,
                     struct error *err)
{
    switch (e->fts_info) {
    case FTS_D:
        if (e->fts_level > 0 && e->fts_name[0] == '.')
            fts_set(tree, e, FTS_SKIP);
        return 0;
    case FTS_F:
        return e->fts_name[0] == '.' || is_output(output, e->fts_parent->fts_statp, e->fts_name)
                   ? 0
                   : add_if_text(t, e->fts_path, err);
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return fail(err, "%s: %s", e->fts_path, strerror(e->fts_errno));
    default:
        return 0;
    }
}

static int add_directory(struct text *t, const char *path, const struct stat *output,
                         struct error *err)
{
    const size_t before = t->n;
    FTS *tree = fts_open((char *[]){(char *)path, NULL}, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR,
                         by_name);
    FTSENT *e = NULL;
    int status = 0;
    while (tree && status == 0 && (errno = 0, e = fts_read(tree)))
        status = add_entry(t, tree, e, output, err);
    if (status == 0 && errno)
        status = fail(err, "%s: %s", path, strerror(errno));
    if (tree)
        fts_close(tree);
    return status == 0 && t->n == before ? fail(err, "%s: no files in this directory", path)
                                         : status;
}

int text_add(struct text *t, const char *path, const struct stat *output, struct error *err)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return fail(err, "%s: %s", path, strerror(errno));
    if (S_ISDIR(s.st_mode))
        return add_directory(t, path, output, err);
    if (!S_ISREG(s.st_mode)) /* a pipe can be read only once */
        return fail(err, "%s: neither a regular file nor a directory", path);
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX] = ".";
    if (slash && snprintf(dir, sizeof dir, "%.*s", (int)(slash - path) + 1, path) >= PATH_MAX)
        return fail(err, "%s: %s", path, strerror(ENAMETOOLONG));
    if (stat(dir, &s) == 0 && is_output(output, &s, slash ? slash + 1 : path))
        return fail(err, "%s: tokenize would overwrite this file: it is in the output directory",
                    path);
    return check_text(path, err) || add_file(t, path, err);
}

void text_free(struct text *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->files[i].path);
    free(t->files);
    *t = (struct text){0};
}

/* --- reading --- */

/* Checks n bytes at `offset` of the file; they end with a complete character if they are valid. */
static int check_utf8(const char *path, const char *piece, size_t n, uint64_t offset,
                      struct error *err)
{
    uint32_t c;
    size_t i = 0;
    for (int m; i < n && (m = utf8_decode(piece + i, n - i, &c)) > 0;)
        i += (size_t)m;
    return i == n ? 0
                  : fail(err,
                         "%s: byte %" PRIu64 ": 0x%02X does not begin a valid UTF-8 character; a "
                         "text in Latin-1 is converted by: iconv -f ISO-8859-1 -t UTF-8 %s",
                         path, offset + i, (uint8_t)piece[i], path);
}

/* The length of the byte-order mark at the beginning of a file. It is not part of the text. */
static size_t mark_length(const char *bytes, size_t n)
{
    return n >= 3 && !memcmp(bytes, "\xEF\xBB\xBF", 3) ? 3 : 0;
}

static int fail_changed(const struct text_file *f, struct error *err)
{
    return fail(err, "%s: changed between two readings", f->path);
}

static int read_file(struct text_file *f, bool any_bytes, FILE *file, char *buffer,
                     text_reader *reader, void *context, struct error *err)
{
    const bool first = !f->sha256[0];
    uint64_t offset = 0; /* of the buffer */
    size_t kept = 0;     /* bytes of a character that the last piece cut */
    char hex[DIGEST_HEX];
    struct digest d;
    digest_init(&d);
    for (size_t got; (got = fread(buffer + kept, 1, TEXT_PIECE - kept, file)) > 0;) {
        digest_update(&d, buffer + kept, got);
        const size_t n = kept + got, complete = any_bytes ? n : utf8_complete(buffer, n),
                     mark = offset ? 0 : mark_length(buffer, complete);
        if (mark && first)
            fprintf(stderr, "handgrad: %s: a byte-order mark is dropped\n", f->path);
        if (!first && offset + n > f->bytes)
            return fail_changed(f, err);
        if (!any_bytes && check_utf8(f->path, buffer, complete, offset, err))
            return first ? -1 : fail_changed(f, err);
        if (complete > mark &&
            reader(context, f, buffer + mark, complete - mark, offset + mark, err))
            return -1;
        kept = n - complete;
        memmove(buffer, buffer + complete, kept);
        offset += complete;
    }
    if (ferror(file))
        return fail(err, "%s: %s", f->path, strerror(errno));
    digest_finish(&d, hex);
    if (!first && (offset + kept != f->bytes || strcmp(hex, f->sha256) != 0))
        return fail_changed(f, err);
    if (kept)
        return fail(err, "%s: byte %" PRIu64 ": the file ends inside a UTF-8 character", f->path,
                    offset);
    f->bytes = offset;
    strcpy(f->sha256, hex);
    return reader(context, f, buffer, 0, offset, err);
}

int text_read(struct text *t, text_reader *reader, void *context, struct error *err)
{
    char *buffer = malloc(TEXT_PIECE);
    int status = buffer ? 0 : fail(err, "out of memory");
    for (size_t i = 0; i < t->n && status == 0; i++) {
        FILE *file = fopen(t->files[i].path, "re");
        status = file ? read_file(&t->files[i], t->any_bytes, file, buffer, reader, context, err)
                      : fail(err, "%s: %s", t->files[i].path, strerror(errno));
        if (file)
            fclose(file);
    }
    free(buffer);
    return status;
}

/* JSON must be UTF-8; a path need not be. */
static cJSON *add_path(cJSON *object, const char *path)
{
    char *text = calloc(3 * strlen(path) + 1, 1);
    if (text)
        utf8_repair(path, strlen(path), text);
    cJSON *added = text ? cJSON_AddStringToObject(object, "path", text) : NULL;
    free(text);
    return added;
}

char *text_json(const struct text *t)
{
    cJSON *list = cJSON_CreateArray();
    bool ok = list != NULL;
    for (size_t i = 0; i < t->n && ok; i++) {
        const struct text_file *f = &t->files[i];
        cJSON *o = cJSON_CreateObject();
        ok = o && cJSON_AddItemToArray(list, o) && add_path(o, f->path) &&
             cJSON_AddNumberToObject(o, "bytes", (double)f->bytes) &&
             cJSON_AddStringToObject(o, "sha256", f->sha256);
    }
    char *json = ok ? cJSON_PrintUnformatted(list) : NULL;
    cJSON_Delete(list);
    return json;
}
