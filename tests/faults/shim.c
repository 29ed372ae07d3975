/* shim.c: preloaded into handgrad to inject faults that strace cannot, and incorrect ways to save
 * that the tests must detect (controls).
 *
 *   FAULT=malloc:N            the N-th allocation fails
 *   FAULT=malloc-from:N       the N-th and all later allocations fail
 *   FAULT=short               write writes at most 1000 bytes
 *   FAULT=eintr               every second write and fsync fails with EINTR
 *   FAULT=unlink-first        a save removes the old file before it writes the new one
 *   FAULT=no-fsync            fsync does nothing
 *   FAULT=no-directory-fsync  fsync of a directory does nothing
 *   FAULT=kill:N              the process is killed at the N-th call of its saves: the calls of a
 *                             thread from the creation of a temporary checkpoint on
 *   FAULT=error:N:E           that call fails with error number E
 *   FAULT=error-from:N:E      that call and all later calls of saves fail
 *
 * FAULT_COUNT=FILE: writes the number of allocations and the names of the calls of saves, one per
 * line. Only allocations by handgrad's own code count; FAULT_IN=libhdf5: only those by that
 * library. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n), *__libc_calloc(size_t n, size_t m),
    *__libc_realloc(void *p, size_t n);

static const char *fault = "", *count_file;
static unsigned long nth, planted_call, allocations, calls, save_calls;
static int error_number;
static char and_later, active, names[1 << 16];
static __thread char saving; /* this thread has begun to write a checkpoint */
static uintptr_t program_begin, program_end;

#define NEXT(name)                                                                                 \
    static __typeof__(name) *next;                                                                 \
    next = next ? next : (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* Finds the address range of the program's code, or of the library FAULT_IN: all mappings of that
 * name. */
static void find_program(void)
{
    char line[512], exe[256] = "";
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (getenv("FAULT_IN"))
        n = snprintf(exe, sizeof exe, "/%s", getenv("FAULT_IN"));
    FILE *f = n > 0 ? fopen("/proc/self/maps", "r") : NULL;
    while (f && fgets(line, sizeof line, f)) {
        unsigned long a, b;
        if (strstr(line, exe) && sscanf(line, "%lx-%lx", &a, &b) == 2) {
            program_begin = program_begin ? program_begin : a;
            program_end = b;
        }
    }
    if (f)
        fclose(f);
}

__attribute__((constructor)) static void start(void)
{
    fault = getenv("FAULT") ? getenv("FAULT") : "";
    count_file = getenv("FAULT_COUNT");
    find_program();
    and_later = strncmp(fault, "malloc-from:", 12) == 0;
    if (strchr(fault, ':'))
        nth = strtoul(strchr(fault, ':') + 1, NULL, 10);
    if (strncmp(fault, "error", 5) == 0)
        error_number = atoi(strrchr(fault, ':') + 1);
    if (strncmp(fault, "malloc", 6) != 0)
        planted_call = nth, nth = 0;
    active = 1;
}

__attribute__((destructor)) static void stop(void)
{
    active = 0;
    FILE *f = count_file ? fopen(count_file, "w") : NULL;
    if (f) {
        fprintf(f, "%lu\n%s", allocations, names);
        fclose(f);
    }
}

static int fails(const void *caller)
{
    if (!active || (uintptr_t)caller < program_begin || (uintptr_t)caller >= program_end)
        return 0;
    const unsigned long n = __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return nth && (and_later ? n >= nth : n == nth);
}

void *malloc(size_t n)
{
    if (fails(__builtin_return_address(0)))
        return errno = ENOMEM, NULL;
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t m)
{
    if (fails(__builtin_return_address(0)))
        return errno = ENOMEM, NULL;
    return __libc_calloc(n, m);
}

void *realloc(void *p, size_t n)
{
    if (fails(__builtin_return_address(0)))
        return errno = ENOMEM, NULL;
    return __libc_realloc(p, n);
}

char *strdup(const char *s)
{
    const size_t n = strlen(s) + 1;
    char *copy = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
    return copy ? memcpy(copy, s, n) : NULL;
}

int posix_memalign(void **p, size_t align, size_t n)
{
    if (fails(__builtin_return_address(0)))
        return ENOMEM;
    extern void *__libc_memalign(size_t, size_t);
    *p = __libc_memalign(align, n);
    return *p ? 0 : ENOMEM;
}

char *strndup(const char *s, size_t max)
{
    const size_t n = strnlen(s, max);
    char *copy = fails(__builtin_return_address(0)) ? NULL : __libc_malloc(n + 1);
    if (copy)
        memcpy(copy, s, n), copy[n] = 0;
    return copy;
}

void *aligned_alloc(size_t align, size_t n)
{
    extern void *__libc_memalign(size_t, size_t);
    if (fails(__builtin_return_address(0)))
        return errno = ENOMEM, NULL;
    return __libc_memalign(align, n);
}

/* --- calls of a save --- */

/* Whether this call must fail; kills the process if it is the one to be killed at. */
static int save_call(const char *name)
{
    if (!saving)
        return 0;
    const unsigned long n = __atomic_add_fetch(&save_calls, 1, __ATOMIC_RELAXED);
    const size_t used = strlen(names);
    if (count_file)
        snprintf(names + used, sizeof names - used, "%s\n", name);
    if (n == planted_call && strncmp(fault, "kill:", 5) == 0)
        raise(SIGKILL);
    if (!error_number ||
        !(n == planted_call || (n > planted_call && strncmp(fault, "error-from:", 11) == 0)))
        return 0;
    errno = error_number;
    return 1;
}

static int interrupted(void)
{
    return strcmp(fault, "eintr") == 0 && __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % 2;
}

ssize_t write(int fd, const void *p, size_t n)
{
    if (fd > 2 && (interrupted() || save_call("write")))
        return errno = error_number ? error_number : EINTR, -1;
    NEXT(write);
    return next(fd, p, fd > 2 && n > 1000 && strcmp(fault, "short") == 0 ? 1000 : n);
}

ssize_t read(int fd, void *p, size_t n)
{
    NEXT(read);
    return save_call("read") ? -1 : next(fd, p, n);
}

off_t lseek(int fd, off_t offset, int whence)
{
    NEXT(lseek);
    return save_call("lseek") ? -1 : next(fd, offset, whence);
}

int fsync(int fd)
{
    if (interrupted())
        return errno = EINTR, -1;
    NEXT(fsync);
    struct stat s;
    const int nothing =
        strcmp(fault, "no-fsync") == 0 ||
        (strcmp(fault, "no-directory-fsync") == 0 && fstat(fd, &s) == 0 && S_ISDIR(s.st_mode));
    return save_call("fsync") ? -1 : nothing ? 0 : next(fd);
}

int fdatasync(int fd)
{
    NEXT(fdatasync);
    return save_call("fdatasync") ? -1 : next(fd);
}

int rename(const char *from, const char *to)
{
    NEXT(rename);
    return save_call("rename") ? -1 : next(from, to);
}

int unlink(const char *path)
{
    NEXT(unlink);
    return save_call("unlink") ? -1 : next(path);
}

/* Closes the descriptor even if it returns an error, like Linux. */
int close(int fd)
{
    NEXT(close);
    const int failed = save_call("close"), e = errno, status = next(fd);
    return failed ? errno = e, -1 : status;
}

/* Removes NAME, given ".NAME.XXXXXX.tmp". */
static void remove_target(const char *temporary)
{
    char target[4096];
    const size_t n = strlen(temporary);
    const char *slash = strrchr(temporary, '/');
    const size_t at = slash ? (size_t)(slash - temporary) + 1 : 0;
    if (n < at + 13 || n >= sizeof target || temporary[at] != '.' ||
        strcmp(temporary + n - 4, ".tmp") != 0)
        return;
    snprintf(target, sizeof target, "%.*s%.*s", (int)at, temporary, (int)(n - at - 12),
             temporary + at + 1);
    unlink(target);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const unsigned mode = va_arg(args, unsigned);
    va_end(args);
    if (strcmp(fault, "unlink-first") == 0 && flags & O_EXCL)
        remove_target(path);
    const char *name = strrchr(path, '/');
    if (flags & O_EXCL && name &&
        (strncmp(name, "/.ckpt-", 7) == 0 || strncmp(name, "/.best", 6) == 0))
        saving = 1;
    if (save_call("open"))
        return -1;
    NEXT(open);
    return next(path, flags, mode);
}
