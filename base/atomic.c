/* atomic.c: whole files or none.
 *
 * The order is what counts (Redis' rdb.c, "Files are hard", Luu 2015): the bytes must be on the disk before the name points at
 * them, and the name is only safe once its folder is synced. The read-back drops the cached pages first, so that it sees what
 * the disk holds and not what we have just handed over; where the system cannot drop them it still finds a short file.
 */
#include "base/atomic.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ".NAME.XXXXXX.tmp" in the folder of path, with the folder itself in *folder. */
static int name_temporary(const char *path, char *temporary, char *folder, unsigned attempt)
{
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) + 1 : 0;
    const char *name = path + n;
    if (!*name || n >= PATH_MAX)
        return -1;
    memcpy(folder, path, n);
    strcpy(folder + n, n ? "" : ".");
    const unsigned tag = ((unsigned)getpid() * 2654435761u + attempt * 40503u) & 0xFFFFFF;
    const int length = snprintf(temporary, PATH_MAX, "%.*s.%s.%06x.tmp", (int)n, path, name, tag);
    return length < PATH_MAX ? 0 : -1;
}

bool atomic_is_leftover(const char *name, const char *of)
{
    const size_t n = strlen(of);
    if (name[0] != '.' || strncmp(name + 1, of, n) != 0)
        return false;
    const char *tag = name + 1 + n;
    return strlen(tag) == strlen(".XXXXXX.tmp") && tag[0] == '.' &&
           strspn(tag + 1, "0123456789abcdef") == 6 && strcmp(tag + 7, ".tmp") == 0;
}

/* A file that is written or read from its beginning to its end. */
struct stream {
    int fd;
    size_t at;
    bool direct; /* O_DIRECT is set */
    bool cached; /* the file system knows no way around its page cache */
};

/* How much of a piece the next call may move. What begins on a page, in memory and in the file, goes straight to the disk or comes
 * from it: the page cache is most of the processor time of a large save (docs/reliability.md, "What saving costs"). */
static size_t next_part(struct stream *s, const void *memory, size_t size)
{
    enum {
        PAGE = 4096,
        LARGE = 1 << 20,
        MOST = 64 << 20 /* Linux moves at most 2^31 - 4096; small parts let signals in */
    };
    const bool direct =
        !s->cached && size >= LARGE && s->at % PAGE == 0 && (uintptr_t)memory % PAGE == 0;
    if (direct != s->direct) {
        const int flags = fcntl(s->fd, F_GETFL);
        s->cached |= fcntl(s->fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) != 0;
        s->direct = direct && !s->cached;
    }
    size = size < MOST ? size : MOST;
    return s->direct ? size / PAGE * PAGE : size;
}

/* Reads to `to`, or where that is NULL writes what is at `from`. */
static ssize_t move(struct stream *s, void *to, const void *from, size_t size)
{
    for (;;) {
        const size_t part = next_part(s, to ? to : from, size);
        const ssize_t n = to ? read(s->fd, to, part) : write(s->fd, from, part);
        if (n >= 0) {
            s->at += (size_t)n;
            return n;
        }
        if (s->direct && errno == EINVAL) /* larger pages, or a short write before this one */
            s->cached = true;
        else if (errno != EINTR)
            return -1;
    }
}

static int write_all(struct stream *s, const void *bytes, size_t size)
{
    for (const char *p = bytes; size;) {
        const ssize_t n = move(s, NULL, p, size);
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return -1;
        p += n, size -= (size_t)n;
    }
    return 0;
}

/* 0 where the file goes on with exactly these bytes; errno is 0 where they differ. */
static int compare_all(struct stream *s, const void *bytes, size_t size)
{
    static const size_t STEP = 1 << 20;
    char *buffer = aligned_alloc(4096, STEP);
    if (!buffer)
        return -1;
    int status = 0;
    for (const char *p = bytes; size && !status;) {
        const ssize_t n = move(s, buffer, NULL, size < STEP ? size : STEP);
        if (n <= 0 || memcmp(buffer, p, (size_t)n) != 0) {
            errno = n < 0 ? errno : 0;
            status = -1;
        } else
            p += n, size -= (size_t)n;
    }
    const int e = errno;
    free(buffer);
    errno = e;
    return status;
}

static int sync_fd(int fd)
{
    int status;
    while ((status = fsync(fd)) != 0 && errno == EINTR)
        ;
    return status;
}

/* The names in it have changed already; EINVAL comes from file systems that cannot sync a folder. */
int atomic_sync_folder(const char *folder)
{
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : -1; /* a folder that can be written to and not read */
    int status = sync_fd(fd);
    if (status != 0 && errno == EINVAL)
        status = 0;
    const int e = errno;
    close(fd);
    errno = e;
    return status;
}

int atomic_open_temporary(const char *path, char *temporary, char *folder)
{
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        if (name_temporary(path, temporary, folder, attempt) != 0) {
            const size_t n = strlen(path);
            errno = n == 0 ? ENOENT : path[n - 1] == '/' ? EISDIR : ENAMETOOLONG;
            return -1;
        }
        const int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* From the beginning of the file: writes every piece, or compares it with what is there. */
static int for_all(int (*act)(struct stream *, const void *, size_t), struct stream *s,
                   const struct piece *pieces, size_t n)
{
    s->at = 0;
    if (lseek(s->fd, 0, SEEK_SET) != 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (act(s, pieces[i].bytes, pieces[i].size) != 0)
            return -1;
    return 0;
}

int atomic_write_pieces(const char *path, const struct piece *pieces, size_t n, struct error *err)
{
    char temporary[PATH_MAX], folder[PATH_MAX];
    const char *doing = "cannot create a file in this folder";
    const int fd = atomic_open_temporary(path, temporary, folder);
    if (fd < 0 && errno == EISDIR)
        return fail(err, "%s: names a folder, expected a file", path);
    if (fd < 0)
        return fail(err, "%s: %s: %s", path, doing, strerror(errno));

    int open_fd = fd;
    struct stream stream = {.fd = fd};
    doing = "writing";
    if (for_all(write_all, &stream, pieces, n) != 0 || sync_fd(fd) != 0)
        goto out;
    doing = "reading back what was written";
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (for_all(compare_all, &stream, pieces, n) != 0)
        goto out;
    doing = "closing";
    open_fd = -1;
    if (close(fd) != 0 && errno != EINTR)
        goto out;
    doing = "renaming the finished file";
    if (rename(temporary, path) != 0)
        goto out;
    if (atomic_sync_folder(folder) != 0)
        return fail(err, "%s: syncing its folder: %s", path, strerror(errno));
    return 0;

out:;
    const int e = errno;
    if (open_fd >= 0)
        close(open_fd);
    unlink(temporary);
    return fail(err, "%s: %s: %s", path, doing, e ? strerror(e) : "the disk returned other bytes");
}

int atomic_write(const char *path, const void *head, size_t head_size, const void *body,
                 size_t body_size, struct error *err)
{
    return atomic_write_pieces(path, (const struct piece[]){{head, head_size}, {body, body_size}},
                               2, err);
}
