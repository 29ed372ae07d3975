/* input_file.c: see regular.h. */
#include "base/input_file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_regular(const char *path, int flags, uint64_t *size, struct error *err)
{
    struct stat s;
    *size = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
    if (fd < 0 && errno == ELOOP && flags & O_NOFOLLOW)
        return fail(err, "%s: a symbolic link, which is not followed: name the file itself", path);
    if (fd < 0 && errno == ENXIO)
        return fail(err, "%s: not a regular file", path);
    if (fd < 0)
        return fail(err, "%s: %s", path, strerror(errno));
    const int unknown = fstat(fd, &s);
    if (unknown || !S_ISREG(s.st_mode)) {
        close(fd);
        return fail(err, "%s: %snot a regular file", path,
                    !unknown && S_ISDIR(s.st_mode) ? "a folder, " : "");
    }
    *size = (uint64_t)s.st_size;
    return fd;
}

int input_file_open(const char *path, uint64_t *size, struct error *err)
{
    return open_regular(path, O_NOFOLLOW, size, err);
}

int input_file_open_linked(const char *path, uint64_t *size, struct error *err)
{
    return open_regular(path, 0, size, err);
}

int input_file_read(int fd, uint64_t offset, void *bytes, size_t size, const char *path,
                    struct error *err)
{
    static const size_t PIECE = 1 << 30; /* Linux reads less than 2^31 at once */
    for (char *p = bytes; size;) {
        const ssize_t n = pread(fd, p, size < PIECE ? size : PIECE, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail(err, "%s: %s", path, n ? strerror(errno) : "truncated while it was read");
        p += n, size -= (size_t)n, offset += (uint64_t)n;
    }
    return 0;
}

char *input_file_text(const char *path, size_t max, struct error *err)
{
    uint64_t size = 0;
    const int fd = input_file_open(path, &size, err);
    if (fd < 0)
        return NULL;
    char *text = size <= max ? malloc(size + 1) : NULL;
    int status = -1;
    if (size > max)
        fail(err, "%s: expected a text of at most %zu bytes, got %llu", path, max,
             (unsigned long long)size);
    else if (!text)
        fail(err, "%s: out of memory for %llu bytes", path, (unsigned long long)size);
    else if (input_file_read(fd, 0, text, size, path, err) == 0)
        status = memchr(text, 0, size) ? fail(err, "%s: not a text file (a byte 0x00)", path) : 0;
    close(fd);
    if (status != 0) {
        free(text);
        return NULL;
    }
    text[size] = '\0';
    return text;
}
