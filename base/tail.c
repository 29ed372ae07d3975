/* tail.c: see tail.h. */
#include "base/tail.h"
#include "base/minmax.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int tail_open(struct tail *t, const char *directory, const char *name)
{
    *t = (struct tail){0};
    return asprintf(&t->path, "%s/%s", directory, name) < 0 ? -1 : 0;
}

void tail_close(struct tail *t)
{
    free(t->path);
    *t = (struct tail){0};
}

/* Whether the file begins with what was read. */
static bool is_continued(const struct tail *t, int fd, const struct stat *st)
{
    char now[TAIL_MARK];
    return st->st_ino == t->inode && st->st_size >= t->read &&
           pread(fd, now, t->mark_size, t->read - (off_t)t->mark_size) == (ssize_t)t->mark_size &&
           !memcmp(now, t->mark, t->mark_size);
}

/* Passes on the complete lines of a buffer and returns their length. */
static size_t pass_lines(char *bytes, size_t n, bool *skipping, tail_reader *reader, void *context)
{
    char *line = bytes;
    for (char *end; (end = memchr(line, '\n', n - (size_t)(line - bytes))); line = end + 1) {
        *end = 0;
        if (!*skipping)
            reader(context, line, (size_t)(end - line));
        *skipping = false;
        *end = '\n';
    }
    return (size_t)(line - bytes);
}

static int read_lines(struct tail *t, int fd, tail_reader *reader, void *context, struct error *err)
{
    bool skipping = false; /* in a line that is too long */
    char *bytes = malloc(TAIL_LINE_MAX);
    size_t used = 0;
    ssize_t n;
    if (!bytes)
        return fail(err, "%s: out of memory for a line", t->path);
    for (off_t at = t->read; (n = pread(fd, bytes + used, TAIL_LINE_MAX - used, at)) > 0;) {
        at += n;
        used += (size_t)n;
        const size_t done = pass_lines(bytes, used, &skipping, reader, context);
        used -= done;
        if (done) {
            t->read = at - (off_t)used;
            t->mark_size = size_min(done, TAIL_MARK);
            memcpy(t->mark, bytes + done - t->mark_size, t->mark_size);
            memmove(bytes, bytes + done, used);
        } else if (used == TAIL_LINE_MAX) {
            skipping = true;
            used = 0;
        }
    }
    const int status = n < 0 ? fail(err, "%s: cannot be read: %s", t->path, strerror(errno)) : 0;
    free(bytes);
    return status;
}

int tail_read(struct tail *t, tail_reader *reader, void (*restart)(void *context), void *context,
              struct error *err)
{
    const int fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT)
        return fail(err, "%s: %s", t->path, strerror(errno));
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
        close(fd);
        return fail(err, "%s: expected a regular file", t->path);
    }
    if (t->read && (fd < 0 || !is_continued(t, fd, &st))) {
        restart(context);
        t->read = 0;
        t->mark_size = 0;
    }
    if (fd < 0)
        return 0;
    t->inode = st.st_ino;
    const int status = read_lines(t, fd, reader, context, err);
    close(fd);
    return status;
}
