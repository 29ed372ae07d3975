/* directories.c: see folders.h. */
#include "base/directories.h"
#include "base/atomic.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes one folder. Its name has to be on the disk before anything in it counts as saved. 1 where it is there already. */
static int make_one(const char *path, struct error *err)
{
    char above[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (mkdir(path, 0777) != 0) {
        const int why = errno;
        return why == EEXIST || why == EISDIR || access(path, F_OK) == 0
                   ? 1
                   : fail(err, "%s: cannot make this folder: %s", path, strerror(why));
    }
    snprintf(above, sizeof above, "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    return atomic_sync_folder(above) == 0
               ? 0
               : fail(err, "%s: syncing the folder that it lies in: %s", path, strerror(errno));
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
        memcpy(part, path, i);
        part[i] = '\0';
        const int status = make_one(part, err);
        if (status < 0)
            return -1;
        any = any || status == 0;
    }
    if (created)
        *created = any;
    return 0;
}
