/* atomic.c: see atomic.h.
 *
 * The order of operations matters (Redis' rdb.c; Luu, "Files are hard", 2015): the bytes must be on
 * the disk before the name refers to them, and the name is safe only after its directory is synced.
 * Cached pages are dropped before reading back, so that the comparison sees what the disk holds.
 */
#include "base/atomic.h"
#include "base/minmax.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool atomic_is_leftover(const char *name, const char *of)
{
    const size_t n = strlen(of);
    if (name[0] != '.' || strncmp(name + 1, of, n) != 0)
        return false;
    const char *tag = name + 1 + n;
    return tag[0] == '.' && strspn(tag + 1, "0123456789abcdef") == 6 &&
           strcmp(tag + 7, ".tmp") == 0;
}

/* A file that is written or read sequentially. */
struct stream {
    int fd;
    size_t at;
    bool direct;    /* O_DIRECT is set */
    bool no_direct; /* the file system does not support it */
};

/* Bytes that the next call should transfer. Parts that are page-aligned in memory and in the file
 * bypass the page cache, which takes most of the processor time of a large save. */
static size_t next_part(struct stream *s, const void *memory, size_t size)
{
    enum {
        PAGE = 4096,
        LARGE = 1 << 20,
        PART_MAX = 64 << 20 /* Linux transfers less than 2^31; small parts let signals in */
    };
    const bool direct =
        !s->no_direct && size >= LARGE && s->at % PAGE == 0 && (uintptr_t)memory % PAGE == 0;
    if (direct != s->direct) {
        const int flags = fcntl(s->fd, F_GETFL);
        s->no_direct |= fcntl(s->fd, F_SETFL, direct ? flags | O_DIRECT : flags & ~O_DIRECT) != 0;
        s->direct = direct && !s->no_direct;
    }
    size = size_min(size, PART_MAX);
    return s->direct ? size / PAGE * PAGE : size;
}

/* Reads into `to`, or if that is NULL, writes from `from`. */
static ssize_t transfer(struct stream *s, void *to, const void *from, size_t size)
{
    for (;;) {
        const size_t part = next_part(s, to ? to : from, size);
        const ssize_t n = to ? read(s->fd, to, part) : write(s->fd, from, part);
        if (n >= 0) {
            s->at += (size_t)n;
            return n;
        }
        if (s->direct && errno == EINVAL) /* larger pages, or a short write before this one */
            s->no_direct = true;
        else if (errno != EINTR)
            return -1;
    }
}

static int write_all(struct stream *s, const void *bytes, size_t size)
{
    for (const char *p = bytes; size;) {
        const ssize_t n = transfer(s, NULL, p, size);
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return -1;
        p += n, size -= (size_t)n;
    }
    return 0;
}

/* 0 if the next bytes of the file are these; -1 with errno, which is 0 if they differ. */
static int compare_all(struct stream *s, const void *bytes, size_t size)
{
    static const size_t STEP = 1 << 20;
    char *buffer = aligned_alloc(4096, STEP);
    if (!buffer)
        return -1;
    int status = 0;
    for (const char *p = bytes; size && !status;) {
        const ssize_t n = transfer(s, buffer, NULL, size_min(size, STEP));
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

int sync_directory(const char *directory)
{
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : -1; /* a directory may be writable but not readable */
    int status = (int)TEMP_FAILURE_RETRY(fsync(fd));
    if (status != 0 && errno == EINVAL) /* not supported by this file system */
        status = 0;
    const int e = errno;
    close(fd);
    errno = e;
    return status;
}

/* ".NAME.XXXXXX.tmp" in the directory of path. */
int atomic_open_temporary(const char *path, char *temporary, char *directory)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const int n = (int)(name - path);
    snprintf(directory, PATH_MAX, "%.*s", n ? n : 1, n ? path : ".");
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        const unsigned tag = ((unsigned)getpid() * 2654435761u + attempt * 40503u) & 0xFFFFFF;
        if (!*name ||
            snprintf(temporary, PATH_MAX, "%.*s.%s.%06x.tmp", n, path, name, tag) >= PATH_MAX) {
            errno = *name ? ENAMETOOLONG : n ? EISDIR : ENOENT;
            return -1;
        }
        const int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

/* Calls write_all or compare_all for every piece, from the beginning of the file. */
static int for_each_piece(int (*call)(struct stream *, const void *, size_t), struct stream *s,
                          const struct piece *pieces, size_t n)
{
    s->at = 0;
    if (lseek(s->fd, 0, SEEK_SET) != 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (call(s, pieces[i].bytes, pieces[i].size) != 0)
            return -1;
    return 0;
}

/* Writes and verifies the temporary file. Returns NULL, or what failed, with errno. */
static const char *fill(int fd, const struct piece *pieces, size_t n)
{
    struct stream stream = {.fd = fd};
    if (for_each_piece(write_all, &stream, pieces, n) || TEMP_FAILURE_RETRY(fsync(fd)))
        return "writing";
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return for_each_piece(compare_all, &stream, pieces, n) ? "reading back what was written" : NULL;
}

int atomic_write_pieces(const char *path, const struct piece *pieces, size_t n, struct error *err)
{
    char temporary[PATH_MAX], directory[PATH_MAX];
    const int fd = atomic_open_temporary(path, temporary, directory);
    if (fd < 0)
        return errno == EISDIR ? fail(err, "%s: expected a file name, got a directory", path)
                               : fail(err, "%s: cannot create a file in this directory: %s", path,
                                      strerror(errno));
    const char *failed = fill(fd, pieces, n);
    int e = errno;
    if (close(fd) != 0 && errno != EINTR && !failed)
        failed = "closing", e = errno;
    if (!failed && rename(temporary, path) != 0)
        failed = "renaming the finished file", e = errno;
    if (failed) {
        unlink(temporary);
        return fail(err, "%s: %s: %s", path, failed,
                    e ? strerror(e) : "the disk returned other bytes");
    }
    return sync_directory(directory)
               ? fail(err, "%s: syncing its directory: %s", path, strerror(errno))
               : 0;
}

int atomic_write(const char *path, const void *bytes, size_t size, struct error *err)
{
    return atomic_write_pieces(path, &(struct piece){bytes, size}, 1, err);
}
