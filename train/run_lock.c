/* run_lock.c: see run_lock.h. What holds is a lock of the kernel's on the file, which ends with its process however that ends, so
 * a number that another process has by now misleads nobody; the text is for people, and for file systems that know no locks. */
#include "train/run_lock.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HOST_MAX = 256 };

struct owner {
    long pid; /* 0: nobody */
    char host[HOST_MAX];
};

static struct owner this_process(void)
{
    struct owner o = {.pid = getpid()};
    if (gethostname(o.host, sizeof o.host - 1) || !o.host[0])
        strcpy(o.host, "unknown");
    return o;
}

static struct owner read_owner(int fd)
{
    char text[64 + HOST_MAX];
    struct owner o = {0};
    const ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n <= 0)
        return o;
    text[n] = 0;
    if (sscanf(text, "process %ld on host %255s", &o.pid, o.host) != 2 || o.pid <= 0)
        o.pid = 0;
    return o;
}

static int write_owner(const struct run_lock *lock, struct error *err)
{
    char text[64 + HOST_MAX];
    const struct owner o = this_process();
    const int n = snprintf(text, sizeof text, "process %ld on host %s\n", o.pid, o.host);
    if (ftruncate(lock->fd, 0) || pwrite(lock->fd, text, (size_t)n, 0) != n)
        return fail(err, "%s: %s", lock->path, strerror(errno));
    return 0;
}

static int refuse(const struct run_lock *lock, const struct owner *o, const char *hint,
                  struct error *err)
{
    if (!o->pid)
        return fail(err, "%s: another process holds it: one run in a folder at a time", lock->path);
    return fail(err, "%s: process %ld on host %s is running here: one run in a folder at a time%s",
                lock->path, o->pid, o->host, hint);
}

/* Where the file system has no locks the text decides: whether that process still exists, if it is one of this host. */
static int judge_text(const struct run_lock *lock, const struct owner *o, struct error *err)
{
    const struct owner self = this_process();
    if (!o->pid || (!strcmp(o->host, self.host) && kill((pid_t)o->pid, 0) && errno == ESRCH))
        return 0;
    return refuse(lock, o,
                  " (this file system has no locks: remove the file if that process has ended)",
                  err);
}

/* Whether the path still leads to the open file: an owner removes it when it ends. */
static bool is_current(const struct run_lock *lock)
{
    struct stat a, b;
    return fstat(lock->fd, &a) == 0 && stat(lock->path, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* 1 where the file was replaced meanwhile: try again. */
static int try_take(struct run_lock *lock, struct error *err)
{
    lock->fd = open(lock->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (lock->fd < 0)
        return fail(err, "%s: %s", lock->path, strerror(errno));
    const bool locked =
        fcntl(lock->fd, F_OFD_SETLK, &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET}) == 0;
    const int e = errno;
    const struct owner before = read_owner(lock->fd);
    if (!locked && (e == EAGAIN || e == EACCES))
        return refuse(lock, &before, "", err);
    if (!is_current(lock))
        return 1;
    if (!locked && judge_text(lock, &before, err))
        return -1;
    if (before.pid) {
        struct error line; /* which takes control characters out of the name */
        fail(&line, "%s: process %ld on host %s has ended without removing it; taken over",
             lock->path, before.pid, before.host);
        fprintf(stderr, "handgrad: %s\n", line.text);
    }
    return write_owner(lock, err);
}

int run_lock_take(struct run_lock *lock, const char *dir, struct error *err)
{
    int status = 1;
    *lock = (struct run_lock){.fd = -1};
    snprintf(lock->path, sizeof lock->path, "%s/lock", dir);
    while (status > 0) {
        status = try_take(lock, err);
        if (status && lock->fd >= 0) {
            close(lock->fd);
            lock->fd = -1;
        }
    }
    return status;
}

void run_lock_release(struct run_lock *lock)
{
    if (lock->fd < 0)
        return;
    if (is_current(lock)) /* not that of another run, in a folder that was removed and made again */
        unlink(lock->path);
    close(lock->fd);
    lock->fd = -1;
}
