/* input_file.c: see input_file.h. */
#include "base/input_file.h"
#include "base/minmax.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_regular(const char *path, int flags, uint64_t *size, struct error *err)
{
    struct stat s = {0};
    *size = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | flags);
    if (fd < 0)
        return fail(err, "%s: %s", path,
                    errno == ELOOP && flags & O_NOFOLLOW
                        ? "symbolic links are not followed: name the file itself"
                    : errno == ENXIO ? "not a regular file"
                                     : strerror(errno));
    if (fstat(fd, &s) || !S_ISREG(s.st_mode)) {
        close(fd);
        return fail(err, "%s: %snot a regular file", path,
                    S_ISDIR(s.st_mode) ? "a directory, " : "");
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
    for (char *p = bytes; size;) {
        /* Linux reads less than 2^31 bytes per call. */
        const ssize_t n = TEMP_FAILURE_RETRY(pread(fd, p, size_min(size, 1 << 30), (off_t)offset));
        if (n <= 0)
            return fail(err, "%s: %s", path, n ? strerror(errno) : "truncated while being read");
        p += n, size -= (size_t)n, offset += (uint64_t)n;
    }
    return 0;
}

static char *read_text(const char *path, int flags, size_t max, struct error *err)
{
    uint64_t size = 0;
    const int fd = open_regular(path, flags, &size, err);
    if (fd < 0)
        return NULL;
    char *text = size <= max ? calloc(size + 1, 1) : NULL;
    int status = -1;
    if (size > max)
        fail(err, "%s: expected a text of at most %zu bytes, got %zu", path, max, (size_t)size);
    else if (!text)
        fail(err, "%s: out of memory for %zu bytes", path, (size_t)size);
    else if (input_file_read(fd, 0, text, size, path, err) == 0)
        status = memchr(text, 0, size) ? fail(err, "%s: not a text file (a byte 0x00)", path) : 0;
    close(fd);
    if (status == 0)
        return text;
    free(text);
    return NULL;
}

char *input_file_text(const char *path, size_t max, struct error *err)
{
    return read_text(path, O_NOFOLLOW, max, err);
}

char *input_file_text_linked(const char *path, size_t max, struct error *err)
{
    return read_text(path, 0, max, err);
}
