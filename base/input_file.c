/* input_file.c: see input_file.h. */
#include "base/input_file.h"
#include "base/minmax.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int input_file_open(const char *path, enum links links, uint64_t *size, struct error *err)
{
    struct stat s = {0};
    *size = 0;
    const int fd =
        open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (links == NO_LINKS ? O_NOFOLLOW : 0));
    if (fd < 0)
        return fail(err, "%s: %s", path,
                    errno == ELOOP && links == NO_LINKS
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

char *input_file_text(const char *path, enum links links, size_t max, struct error *err)
{
    uint64_t size = 0;
    const int fd = input_file_open(path, links, &size, err);
    char *text = NULL;
    if (fd < 0)
        return NULL;
    if (size > max)
        fail(err, "%s: expected a text of at most %zu bytes, got %zu", path, max, (size_t)size);
    else if (!(text = calloc(size + 1, 1)))
        fail(err, "%s: out of memory for %zu bytes", path, (size_t)size);
    else if (input_file_read(fd, 0, text, size, path, err) ||
             (memchr(text, 0, size) && fail(err, "%s: not a text file (a byte 0x00)", path))) {
        free(text);
        text = NULL;
    }
    close(fd);
    return text;
}
