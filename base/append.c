/* append.c: see append.h. */
#include "base/append.h"
#include <errno.h>
#include <unistd.h>

int append_whole(int fd, off_t *end, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t n = TEMP_FAILURE_RETRY(
            pwrite(fd, (const char *)bytes + done, size - done, *end + (off_t)done));
        if (n <= 0) {
            const int e = n ? errno : EIO;
            (void)!ftruncate(fd, *end);
            errno = e;
            return -1;
        }
        done += (size_t)n;
    }
    *end += (off_t)size;
    return 0;
}
