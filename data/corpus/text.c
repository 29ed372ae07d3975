/* text.c: see text.h. Which files belong to a text is in find.c. */
#include "data/corpus/text.h"
#include "base/utf8.h"
#include "data/corpus/json_lines.h"
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

struct source *text_open(const struct text_file *f, struct error *err)
{
    return source_open(f->copy ? NULL : f->path, f->copy ? fileno(f->copy) : -1, f->path, err);
}

/* A file while it is read. */
struct reading {
    struct text_file *file;
    text_reader *reader;
    void *context;
    struct json_lines json;
    bool first;      /* of several readings */
    bool any_bytes;  /* need not be UTF-8 */
    uint64_t offset; /* of the buffer */
    struct digest digest;
};

/* Takes a document of JSON lines, in pieces. */
static int take_document(void *reading, const char *text, size_t n, struct error *err)
{
    struct reading *r = reading;
    for (size_t m; n > 0; text += m, n -= m) {
        m = n > TEXT_PIECE ? utf8_complete(text, TEXT_PIECE) : n;
        if (r->reader(r->context, r->file, text, m, r->offset, err))
            return -1;
    }
    return r->reader(r->context, r->file, text, 0, r->offset, err);
}

/* Takes n bytes of the file, which end with a complete character. */
static int take_bytes(struct reading *r, const char *bytes, size_t n, struct error *err)
{
    const size_t mark = r->offset ? 0 : mark_length(bytes, n);
    if (mark && r->first)
        fprintf(stderr, "handgrad: %s: a byte-order mark is dropped\n", r->file->path);
    if (!r->first && r->offset + n > r->file->bytes)
        return fail_changed(r->file, err);
    if (r->file->json)
        return json_lines_add(&r->json, bytes + mark, n - mark, err);
    if (!r->any_bytes && check_utf8(r->file->path, bytes, n, r->offset, err))
        return r->first ? -1 : fail_changed(r->file, err);
    return n > mark ? r->reader(r->context, r->file, bytes + mark, n - mark, r->offset + mark, err)
                    : 0;
}

static int finish_file(struct reading *r, size_t kept, struct error *err)
{
    struct text_file *f = r->file;
    char hex[DIGEST_HEX];
    digest_finish(&r->digest, hex);
    if (!r->first && (r->offset + kept != f->bytes || strcmp(hex, f->sha256) != 0))
        return fail_changed(f, err);
    if (kept)
        return fail(err, "%s: byte %" PRIu64 ": the file ends inside a UTF-8 character", f->path,
                    r->offset);
    f->bytes = r->offset;
    strcpy(f->sha256, hex);
    return f->json ? json_lines_finish(&r->json, err)
                   : r->reader(r->context, f, "", 0, r->offset, err);
}

static int read_file(struct reading *r, struct source *s, char *buffer, struct error *err)
{
    size_t kept = 0; /* bytes of a character that the last piece cut */
    ssize_t got;
    digest_init(&r->digest);
    while ((got = source_read(s, buffer + kept, TEXT_PIECE - kept, err)) > 0) {
        digest_update(&r->digest, buffer + kept, got);
        const size_t n = kept + got;
        const size_t complete = r->any_bytes || r->file->json ? n : utf8_complete(buffer, n);
        if (take_bytes(r, buffer, complete, err))
            return -1;
        kept = n - complete;
        memmove(buffer, buffer + complete, kept);
        r->offset += complete;
    }
    return got < 0 || finish_file(r, kept, err) ? -1 : 0;
}

int text_read(struct text *t, text_reader *reader, void *context, struct error *err)
{
    char *buffer = malloc(TEXT_PIECE);
    int status = buffer ? 0 : fail(err, "out of memory");
    for (size_t i = 0; i < t->n && status == 0; i++) {
        struct text_file *f = &t->files[i];
        struct reading r = {.file = f,
                            .reader = reader,
                            .context = context,
                            .first = !f->sha256[0],
                            .any_bytes = t->any_bytes};
        r.json = (struct json_lines){.path = f->path,
                                     .field = t->json_field ? t->json_field : "text",
                                     .take = take_document,
                                     .context = &r};
        struct source *s = text_open(f, err);
        status = s ? read_file(&r, s, buffer, err) : -1;
        json_lines_free(&r.json);
        source_close(s);
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
