/* text.c: the files of a text, read as one stream of whole UTF-8 characters. */
#include "data/text.h"
#include "base/utf8.h"
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- which files --- */

static int add_file(struct text *t, const char *path, struct error *err)
{
    if (t->n == t->capacity) {
        const size_t capacity = t->capacity ? 2 * t->capacity : 16;
        struct text_file *files = realloc(t->files, capacity * sizeof *files);
        if (!files)
            return fail(err, "%s: out of memory", path);
        t->files = files;
        t->capacity = capacity;
    }
    struct text_file *f = &t->files[t->n];
    *f = (struct text_file){.path = strdup(path)};
    if (!f->path)
        return fail(err, "%s: out of memory", path);
    t->n++;
    return 0;
}

/* By bytes: the same order whatever the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_hidden(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int add_folder(struct text *t, const char *folder, const struct text_skip *skip,
                      struct error *err);

/* An entry of a folder. Links are left out, so that no folder is its own grandchild. */
static int add_entry(struct text *t, const char *folder, const char *name, bool outputs_here,
                     const struct text_skip *skip, struct error *err)
{
    char path[PATH_MAX];
    struct stat s;
    const bool slash = folder[strlen(folder) - 1] == '/';
    if (snprintf(path, sizeof path, "%s%s%s", folder, slash ? "" : "/", name) >= PATH_MAX)
        return fail(err, "%s: %s", folder, strerror(ENAMETOOLONG));
    if (lstat(path, &s) != 0)
        return fail(err, "%s: %s", path, strerror(errno));
    if (S_ISDIR(s.st_mode))
        return add_folder(t, path, skip, err);
    if (!S_ISREG(s.st_mode) || (outputs_here && skip->is_output(name)))
        return 0;
    return add_file(t, path, err);
}

static int add_folder(struct text *t, const char *folder, const struct text_skip *skip,
                      struct error *err)
{
    struct stat s;
    struct dirent **entries = NULL;
    const int n = stat(folder, &s) != 0 ? -1 : scandir(folder, &entries, not_hidden, by_name);
    if (n < 0)
        return fail(err, "%s: %s", folder, strerror(errno));
    const bool outputs_here =
        skip && s.st_dev == skip->folder.st_dev && s.st_ino == skip->folder.st_ino;
    int status = 0;
    for (int i = 0; i < n; i++) {
        if (status == 0)
            status = add_entry(t, folder, entries[i]->d_name, outputs_here, skip, err);
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* A file that the user names: an output would be removed, or overwritten, by the run that reads it. */
static int check_not_output(const char *path, const struct text_skip *skip, struct error *err)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX] = ".";
    struct stat s;
    if (slash && snprintf(folder, sizeof folder, "%.*s", (int)(slash - path) + 1, path) >= PATH_MAX)
        return fail(err, "%s: %s", path, strerror(ENAMETOOLONG));
    if (skip && stat(folder, &s) == 0 && s.st_dev == skip->folder.st_dev &&
        s.st_ino == skip->folder.st_ino && skip->is_output(slash ? slash + 1 : path))
        return fail(err, "%s: a text of this name in the folder of the output would be overwritten",
                    path);
    return 0;
}

int text_add(struct text *t, const char *path, const struct text_skip *skip, struct error *err)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return fail(err, "%s: %s", path, strerror(errno));
    if (S_ISDIR(s.st_mode)) {
        const size_t before = t->n;
        if (add_folder(t, path, skip, err) != 0)
            return -1;
        return t->n > before ? 0 : fail(err, "%s: no files in this folder", path);
    }
    if (!S_ISREG(s.st_mode)) /* a pipe can be read only once */
        return fail(err, "%s: neither a regular file nor a folder", path);
    return check_not_output(path, skip, err) != 0 ? -1 : add_file(t, path, err);
}

void text_free(struct text *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->files[i].path);
    free(t->files);
    *t = (struct text){0};
}

/* --- reading --- */

/* Fills the buffer as far as the file goes. */
static ssize_t read_full(int fd, char *buffer, size_t size)
{
    size_t n = 0;
    while (n < size) {
        const ssize_t m = read(fd, buffer + n, size - n);
        if (m < 0 && errno == EINTR)
            continue;
        if (m < 0)
            return -1;
        if (m == 0)
            break;
        n += (size_t)m;
    }
    return (ssize_t)n;
}

/* n bytes of whole characters at `offset` of the file. */
static int check_utf8(const char *path, const char *piece, size_t n, uint64_t offset,
                      struct error *err)
{
    struct utf8 u = {0};
    size_t begin = 0; /* of the character in hand */
    bool valid = true;
    for (size_t i = 0; i < n && valid; i++) {
        const enum utf8_result r = utf8_push(&u, (uint8_t)piece[i]);
        valid = r != UTF8_INVALID;
        if (r == UTF8_CHARACTER)
            begin = i + 1;
    }
    if (valid &&
        begin == n) /* one that is cut here, before the beginning of another, is none either */
        return 0;
    return fail(
        err,
        "%s: byte %llu: 0x%02X begins no valid UTF-8 character (iconv -t UTF-8 converts others)",
        path, (unsigned long long)offset + begin, (uint8_t)piece[begin]);
}

static int changed(const struct text_file *f, struct error *err)
{
    return fail(err, "%s: changed between the two readings", f->path);
}

static int read_file(struct text_file *f, bool any_bytes, int fd, char *buffer, text_reader *reader,
                     void *context, struct error *err)
{
    const bool again = f->sha256[0];
    uint64_t offset = 0; /* of the buffer's first byte */
    size_t kept = 0;     /* bytes of a character that the last piece cut */
    struct digest d;
    digest_init(&d);
    for (;;) {
        const ssize_t got = read_full(fd, buffer + kept, TEXT_PIECE - kept);
        if (got < 0)
            return fail(err, "%s: %s", f->path, strerror(errno));
        if (got == 0)
            break;
        digest_update(&d, buffer + kept, (size_t)got);
        const size_t n = kept + (size_t)got, whole = any_bytes ? n : utf8_complete(buffer, n);
        if (again && offset + n > f->bytes)
            return changed(f, err);
        if (!any_bytes && check_utf8(f->path, buffer, whole, offset, err) != 0)
            return again ? changed(f, err) : -1;
        if (whole && reader(context, f, buffer, whole, offset, err) != 0)
            return -1;
        kept = n - whole;
        memmove(buffer, buffer + whole, kept);
        offset += whole;
    }
    char hex[DIGEST_HEX];
    digest_finish(&d, hex);
    if (again && (offset + kept != f->bytes || strcmp(hex, f->sha256) != 0))
        return changed(f, err);
    if (kept)
        return fail(err, "%s: byte %llu: the file ends inside a UTF-8 character", f->path,
                    (unsigned long long)offset);
    f->bytes = offset;
    memcpy(f->sha256, hex, sizeof hex);
    return reader(context, f, buffer, 0, offset, err);
}

int text_read(struct text *t, text_reader *reader, void *context, struct error *err)
{
    char *buffer = malloc(TEXT_PIECE);
    int status = buffer ? 0 : fail(err, "out of memory");
    for (size_t i = 0; i < t->n && status == 0; i++) {
        const int fd = open(t->files[i].path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            status = fail(err, "%s: %s", t->files[i].path, strerror(errno));
            break;
        }
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        status = read_file(&t->files[i], t->any_bytes, fd, buffer, reader, context, err);
        close(fd);
    }
    free(buffer);
    return status;
}

/* A path need not be UTF-8, JSON must. */
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
