/* directories.c: see directories.h. */
#include "base/directories.h"
#include "base/atomic.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Creates one directory and syncs its parent, since nothing in it is safe before its name is on
 * disk. Sets *created if it did not exist. */
static int make_one(const char *path, bool *created, struct error *err)
{
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (mkdir(path, 0777) != 0) {
        const int e = errno;
        return e == EEXIST || access(path, F_OK) == 0
                   ? 0
                   : fail(err, "%s: cannot create this directory: %s", path, strerror(e));
    }
    *created = true;
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) + 1 : 1,
             slash ? path : ".");
    return sync_directory(parent) == 0
               ? 0
               : fail(err, "%s: syncing its parent directory: %s", path, strerror(errno));
}

int make_directories(const char *path, bool *created, struct error *err)
{
    char part[PATH_MAX];
    const size_t n = strlen(path);
    bool any = false;
    if (n == 0 || n >= PATH_MAX)
        return fail(err, "%s: %s", path, strerror(n ? ENAMETOOLONG : ENOENT));
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        if (make_one(part, &any, err))
            return -1;
    }
    if (created)
        *created = any;
    return 0;
}
