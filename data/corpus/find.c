/* find.c: text_add: which files belong to a text. */
#include "base/array.h"
#include "base/stop.h"
#include "base/utf8.h"
#include "data/corpus/corpus.h"
#include "data/corpus/source.h"
#include "data/corpus/text.h"
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether the name, without that of a compression, is that of JSON lines. */
static bool is_json_lines(const char *path)
{
    static const char *const endings[] = {".gz", ".bz2", ".xz", ".zst", ".jsonl", ".ndjson"};
    enum { COMPRESSIONS = 4, ENDINGS = 6 };
    size_t n = strlen(path);
    for (int i = 0; i < ENDINGS; i++) {
        const size_t m = strlen(endings[i]);
        if (n <= m || strncmp(path + n - m, endings[i], m))
            continue;
        if (i >= COMPRESSIONS)
            return true;
        n -= m;
        i = COMPRESSIONS - 1;
    }
    return false;
}

static void free_file(struct text_file *f)
{
    if (f->copy)
        fclose(f->copy);
    free(f->path);
}

/* Checks that the beginning of a file looks like a text: bytes that merely pass through a tokenizer
 * would train a model on noise. */
static int check_text(const struct text_file *f, struct error *err)
{
    enum { BEGINNING = 1 << 16, ENOUGH = 512, INVALID_SHARE = 10 /* one in so many bytes */ };
    static const struct {
        const char *magic, *what;
    } formats[] = {{"PK\3\4", "a zip archive"},
                   {"\xFF\xFE", "UTF-16, which iconv -f UTF-16 -t UTF-8 converts"},
                   {"\xFE\xFF", "UTF-16, which iconv -f UTF-16 -t UTF-8 converts"}};
    struct source *s = text_open(f, err);
    char *bytes = s ? calloc(1, BEGINNING) : NULL;
    const ssize_t n = bytes ? source_read(s, bytes, BEGINNING, err) : -1;
    const char *nul = n > 0 ? memchr(bytes, 0, n) : NULL;
    ssize_t invalid = 0;
    int status = n < 0 ? -1 : 0;
    for (size_t i = 0; i < sizeof formats / sizeof *formats && !status; i++)
        if (n && !strncmp(bytes, formats[i].magic, strlen(formats[i].magic)))
            status = fail(err, "%s: not a text: it is %s", f->path, formats[i].what);
    if (!status && nul)
        status = fail(err, "%s: not a text: byte %zu is NUL", f->path, (size_t)(nul - bytes));
    uint32_t c;
    for (ssize_t i = 0; i < n && !status;) {
        const int m = utf8_decode(bytes + i, n - i, &c);
        invalid += m <= 0;
        i += m > 0 ? m : 1;
    }
    if (!status && n >= ENOUGH && invalid > n / INVALID_SHARE)
        status = fail(err, "%s: not a text in UTF-8: %zd of its first %zd bytes are invalid",
                      f->path, invalid, n);
    free(bytes);
    source_close(s);
    return status;
}

/* Takes over *f, or frees it. A file that is not a text is an error, or if it was found in a
 * directory, skipped. */
static int add_file(struct text *t, struct text_file *f, bool found, struct error *err)
{
    int status = f->path ? check_text(f, err) : fail(err, "out of memory");
    if (!status && !array_reserve(&t->files, &t->capacity, t->n + 1))
        status = fail(err, "%s: out of memory", f->path);
    if (!status) {
        f->json |= is_json_lines(f->path);
        t->documents |= f->json;
        t->files[t->n++] = *f;
        return 0;
    }
    const bool skip = found && f->path && strstr(err->text, ": not a text");
    if (skip)
        fprintf(stderr, "handgrad: skipping %s\n", err->text);
    free_file(f);
    return skip ? 0 : -1;
}

/* --- pipes --- */

/* Copies what can be read only once to an unnamed temporary file. */
static int add_pipe(struct text *t, int fd, const char *name, struct error *err)
{
    enum { PIECE = 1 << 16 };
    struct text_file f = {.path = strdup(name), .json = t->json_field != NULL};
    char *piece = malloc(PIECE);
    ssize_t n = -1;
    errno = ENOMEM;
    f.copy = t->directory ? corpus_temporary_file(t->directory, err) : tmpfile();
    if (f.copy && piece && f.path)
        while ((n = read(fd, piece, PIECE)) > 0 && !stop_requested())
            if (fwrite(piece, 1, n, f.copy) < (size_t)n)
                break;
    int status = n ? fail(err, "%s: %s", name, stop_requested() ? "stopped" : strerror(errno)) : 0;
    if (!status && fflush(f.copy))
        status = fail(err, "%s: copying it to a temporary file: %s", name, strerror(errno));
    free(piece);
    if (!status)
        return add_file(t, &f, false, err);
    free_file(&f);
    return -1;
}

/* --- directories --- */

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

static int skip(const FTSENT *e, const char *why)
{
    fprintf(stderr, "handgrad: skipping %s: %s\n", e->fts_path, why);
    return 0;
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
                   : add_file(t,
                              &(struct text_file){.path = strdup(e->fts_path),
                                                  .device = e->fts_statp->st_dev,
                                                  .inode = e->fts_statp->st_ino},
                              true, err);
    case FTS_DC:
        return skip(e, "a link to a directory that contains it");
    case FTS_SLNONE:
        return skip(e, "a link to nothing");
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return fail(err, "%s: %s", e->fts_path, strerror(e->fts_errno));
    default:
        return 0;
    }
}

static int by_inode(const void *a, const void *b)
{
    const struct text_file *const *f = a, *const *g = b;
    if ((*f)->inode != (*g)->inode)
        return (*f)->inode < (*g)->inode ? -1 : 1;
    if ((*f)->device != (*g)->device)
        return (*f)->device < (*g)->device ? -1 : 1;
    return *f < *g ? -1 : *f > *g;
}

/* Of files that were found by several paths, keeps the first, from file `before` on. */
static int drop_repeated(struct text *t, size_t before, struct error *err)
{
    const size_t n = t->n - before;
    struct text_file **order = malloc((n + 1) * sizeof *order);
    if (!order)
        return fail(err, "out of memory for %zu files", n);
    for (size_t i = 0; i < n; i++)
        order[i] = &t->files[before + i];
    qsort(order, n, sizeof *order, by_inode);
    for (size_t i = 0, first = 0; i < n; i++) {
        if (order[i]->inode != order[first]->inode || order[i]->device != order[first]->device)
            first = i;
        if (i == first)
            continue;
        fprintf(stderr, "handgrad: skipping %s: the same file as %s\n", order[i]->path,
                order[first]->path);
        free(order[i]->path);
        order[i]->path = NULL;
    }
    free(order);
    t->n = before;
    for (size_t i = before; i < before + n; i++)
        if (t->files[i].path)
            t->files[t->n++] = t->files[i];
    return 0;
}

static int add_directory(struct text *t, const char *path, const struct stat *output,
                         struct error *err)
{
    const size_t before = t->n;
    FTS *tree = fts_open((char *[]){(char *)path, NULL}, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    FTSENT *e = NULL;
    int status = 0;
    while (tree && status == 0 && (errno = 0, e = fts_read(tree)))
        status = add_entry(t, tree, e, output, err);
    if (status == 0 && errno)
        status = fail(err, "%s: %s", path, strerror(errno));
    if (tree)
        fts_close(tree);
    if (status == 0 && t->n == before)
        return fail(err, "%s: no files in this directory", path);
    return status || drop_repeated(t, before, err) ? -1 : 0;
}

int text_add(struct text *t, const char *path, const struct stat *output, struct error *err)
{
    struct stat s;
    if (!strcmp(path, "-"))
        return add_pipe(t, STDIN_FILENO, "standard input", err);
    if (stat(path, &s) != 0)
        return fail(err, "%s: %s", path, strerror(errno));
    if (S_ISDIR(s.st_mode))
        return add_directory(t, path, output, err);
    if (S_ISFIFO(s.st_mode)) {
        const int fd = open(path, O_RDONLY | O_CLOEXEC);
        const int status =
            fd < 0 ? fail(err, "%s: %s", path, strerror(errno)) : add_pipe(t, fd, path, err);
        if (fd >= 0)
            close(fd);
        return status;
    }
    if (!S_ISREG(s.st_mode))
        return fail(err, "%s: not a file, a pipe or a directory", path);
    const char *slash = strrchr(path, '/');
    char dir[PATH_MAX] = ".";
    if (slash && snprintf(dir, sizeof dir, "%.*s", (int)(slash - path) + 1, path) >= PATH_MAX)
        return fail(err, "%s: %s", path, strerror(ENAMETOOLONG));
    if (stat(dir, &s) == 0 && is_output(output, &s, slash ? slash + 1 : path))
        return fail(err, "%s: tokenize would overwrite this file: it is in the output directory",
                    path);
    return add_file(t, &(struct text_file){.path = strdup(path)}, false, err);
}

void text_free(struct text *t)
{
    for (size_t i = 0; i < t->n; i++)
        free_file(&t->files[i]);
    free(t->files);
    *t = (struct text){0};
}
