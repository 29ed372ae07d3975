/* tail.c: see tail.h. */
#include "base/tail.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int tail_open(struct tail *t, const char *folder, const char *name)
{
    *t = (struct tail){0};
    return asprintf(&t->path, "%s/%s", folder, name) < 0 ? -1 : 0;
}

void tail_close(struct tail *t)
{
    free(t->path);
    *t = (struct tail){0};
}

/* Whether the file is still what was read, with perhaps more behind it. */
static bool goes_on(const struct tail *t, int fd, const struct stat *st)
{
    char now[TAIL_MARK];
    return st->st_ino == t->inode && st->st_size >= t->read &&
           pread(fd, now, t->mark_size, t->read - (off_t)t->mark_size) == (ssize_t)t->mark_size &&
           !memcmp(now, t->mark, t->mark_size);
}

static void remember(struct tail *t, const char *end, size_t n)
{
    t->mark_size = n < TAIL_MARK ? n : TAIL_MARK;
    memcpy(t->mark, end - t->mark_size, t->mark_size);
}

/* Hands on the whole lines of a buffer, and returns their length. */
static size_t hand_on(char *bytes, size_t n, bool *skipping, tail_reader *reader, void *context)
{
    size_t done = 0;
    for (char *end; (end = memchr(bytes + done, '\n', n - done));
         done = (size_t)(end + 1 - bytes)) {
        *end = 0;
        if (!*skipping)
            reader(context, bytes + done, (size_t)(end - (bytes + done)));
        *skipping = false;
        *end = '\n';
    }
    return done;
}

static int read_lines(struct tail *t, int fd, tail_reader *reader, void *context, struct error *err)
{
    size_t room = 1 << 16, have = 0;
    bool skipping = false; /* inside a line that is too long */
    char *bytes = malloc(room);
    ssize_t n = 0;
    off_t at = t->read;
    while (bytes && (n = pread(fd, bytes + have, room - have, at)) > 0) {
        at += n;
        have += (size_t)n;
        const size_t done = hand_on(bytes, have, &skipping, reader, context);
        if (done) {
            t->read = at - (off_t)(have - done);
            remember(t, bytes + done, done);
        }
        memmove(bytes, bytes + done, have -= done);
        if (have == room && room >= TAIL_LINE_MAX) {
            skipping = true;
            have = 0;
        } else if (have == room) {
            char *grown = realloc(bytes, room *= 2);
            if (!grown)
                free(bytes);
            bytes = grown;
        }
    }
    const int status = !bytes  ? fail(err, "%s: no memory for a line", t->path)
                       : n < 0 ? fail(err, "%s: cannot be read: %s", t->path, strerror(errno))
                               : 0;
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
        return fail(err, "%s: expected a file", t->path);
    }
    if (t->read && (fd < 0 || !goes_on(t, fd, &st))) {
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
