/* folders.c: see folders.h. */
#include "folders.h"
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int folders_make(const char *path, bool *created, struct error *err)
{
    char part[PATH_MAX];
    const size_t n = strlen(path);
    bool any = false;
    if (n == 0 || n >= PATH_MAX)
        return fail(err, "%s: %s", path, strerror(n ? ENAMETOOLONG : ENOENT));
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) == 0)
            any = true;
        else if (errno != EEXIST && errno != EISDIR && access(part, F_OK) != 0)
            return fail(err, "%s: cannot make this folder: %s", part, strerror(errno));
    }
    if (created)
        *created = any;
    return 0;
}
