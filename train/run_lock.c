/* run_lock.c: see run_lock.h. The kernel's lock on the file is decisive. It ends with its process,
 * so a process number that has been reused does no harm. The text in the file is for messages, and
 * for file systems without locks. */
#include "train/run_lock.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OWNER_MAX = 320 };

static void describe(char owner[OWNER_MAX], long pid, const char *host)
{
    snprintf(owner, OWNER_MAX, "process %ld on host %s", pid, host);
}

static void describe_self(char owner[OWNER_MAX])
{
    char host[256] = "";
    const bool unknown = gethostname(host, sizeof host - 1) || !*host;
    describe(owner, getpid(), unknown ? "unknown" : host);
}

/* Reads the owner from the file; "" if there is none. */
static void read_owner(int fd, char owner[OWNER_MAX])
{
    char text[OWNER_MAX], host[256];
    long pid;
    const ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    *owner = 0;
    if (sscanf(text, "process %ld on host %255s", &pid, host) == 2 && pid > 0)
        describe(owner, pid, host);
}

static int write_owner(const struct run_lock *lock, struct error *err)
{
    char owner[OWNER_MAX];
    describe_self(owner);
    const size_t n = strlen(owner);
    owner[n] = '\n'; /* instead of the terminator */
    if (ftruncate(lock->fd, 0) || pwrite(lock->fd, owner, n + 1, 0) != (ssize_t)n + 1)
        return fail(err, "%s: %s", lock->path, strerror(errno));
    return 0;
}

static int refuse(const struct run_lock *lock, const char *owner, const char *hint,
                  struct error *err)
{
    return fail(err, "%s: locked by %s: only one run at a time can use a directory%s", lock->path,
                *owner ? owner : "another process", hint);
}

/* Whether the owner is a process of this host that no longer exists. */
static bool has_ended(const char *owner)
{
    char self[OWNER_MAX];
    describe_self(self);
    return !strcmp(strstr(owner, " on "), strstr(self, " on ")) &&
           kill(strtol(owner + strlen("process "), NULL, 10), 0) && errno == ESRCH;
}

/* Whether the path still refers to the open file. Its owner may have removed it. */
static bool is_current(const struct run_lock *lock)
{
    struct stat a, b;
    return fstat(lock->fd, &a) == 0 && stat(lock->path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* Returns 1 if the file was replaced in the meantime: try again. */
static int try_take(struct run_lock *lock, struct error *err)
{
    lock->fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (lock->fd < 0)
        return fail(err, "%s: %s", lock->path, strerror(errno));
    const bool locked =
        fcntl(lock->fd, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET}) == 0;
    const int e = errno;
    char owner[OWNER_MAX];
    read_owner(lock->fd, owner);
    if (!locked && (e == EAGAIN || e == EACCES))
        return refuse(lock, owner, "", err);
    if (!is_current(lock))
        return 1;
    if (!locked && *owner && !has_ended(owner))
        return refuse(
            lock, owner,
            " (this file system has no locks; if that process has ended, remove the file)", err);
    if (*owner) {
        struct error line; /* without control characters */
        fail(&line, "%s: %s ended without removing it; taken over", lock->path, owner);
        fprintf(stderr, "handgrad: %s\n", line.text);
    }
    return write_owner(lock, err);
}

int run_lock_take(struct run_lock *lock, const char *dir, struct error *err)
{
    int status;
    run_path(lock->path, dir, "lock");
    while ((status = try_take(lock, err)) > 0)
        close(lock->fd);
    if (status && lock->fd >= 0) {
        close(lock->fd);
        lock->fd = -1;
    }
    return status;
}

void run_lock_release(struct run_lock *lock)
{
    if (lock->fd < 0)
        return;
    if (is_current(lock)) /* not the lock of another run in a directory that was recreated */
        unlink(lock->path);
    close(lock->fd);
    lock->fd = -1;
}
