/* source.c: see source.h. The decompressors are libarchive's, which find out the format by the
 * content, and read concatenated streams. */
#include "data/corpus/source.h"
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct source {
    struct archive *archive;
    const char *name;
    bool empty;
};

/* libarchive's codes are those of errno, or EILSEQ or negative for errors of the format. */
static int fail_source(const struct source *s, struct error *err)
{
    const char *why = archive_error_string(s->archive);
    const int code = archive_errno(s->archive);
    if (code > 0 && code != EILSEQ)
        return fail(err, "%s: %s", s->name, strerror(code));
    return fail(err, "%s: damaged compressed file: %s", s->name, why ? why : "unknown error");
}

static int open_archive(struct source *s, const char *path, int fd)
{
    enum { BLOCK = 1 << 16 };
    struct archive *a = s->archive;
    struct archive_entry *entry;
    if (archive_read_support_filter_gzip(a) || archive_read_support_filter_bzip2(a) ||
        archive_read_support_filter_xz(a) || archive_read_support_filter_zstd(a) ||
        archive_read_support_format_raw(a) || archive_read_support_format_empty(a))
        return -1;
    if (!path && lseek(fd, 0, SEEK_SET) < 0) {
        archive_set_error(a, errno, "%s", strerror(errno));
        return -1;
    }
    if (path ? archive_read_open_filename(a, path, BLOCK) : archive_read_open_fd(a, fd, BLOCK))
        return -1;
    const int status = archive_read_next_header(a, &entry);
    s->empty = status == ARCHIVE_EOF;
    return status == ARCHIVE_OK || s->empty ? 0 : -1;
}

struct source *source_open(const char *path, int fd, const char *name, struct error *err)
{
    struct source *s = calloc(1, sizeof *s);
    if (!s || !(s->archive = archive_read_new())) {
        free(s);
        return fail_null(err, "%s: out of memory", name);
    }
    s->name = name;
    if (!open_archive(s, path, fd))
        return s;
    fail_source(s, err);
    source_close(s);
    return NULL;
}

ssize_t source_read(struct source *s, char *bytes, size_t n, struct error *err)
{
    size_t got = 0;
    while (got < n && !s->empty) {
        const la_ssize_t m = archive_read_data(s->archive, bytes + got, n - got);
        if (m < 0)
            return fail_source(s, err);
        s->empty = m == 0;
        got += m;
    }
    return got;
}

void source_close(struct source *s)
{
    if (s)
        archive_read_free(s->archive);
    free(s);
}
