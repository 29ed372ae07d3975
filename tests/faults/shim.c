/* shim.c: preloaded into handgrad: faults that strace cannot plant, and two broken ways to save, which the harness has to catch.
 *
 *   FAULT=malloc:N       the N-th allocation fails          FAULT=malloc-from:N   it, and all that follow
 *   FAULT=short          write takes at most 1000 bytes     FAULT=eintr           every second write, read and fsync fails with it
 *   FAULT=unlink-first   a save removes the old file before it writes the new one
 *   FAULT=no-fsync       fsync does nothing
 * FAULT_COUNT=FILE: where to write the number of allocations. Only those asked for by handgrad itself count, not by its libraries. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t n), *__libc_calloc(size_t n, size_t m), *__libc_realloc(void *p, size_t n);

static const char *fault = "", *count_file;
static unsigned long nth, allocations, calls;
static char from_then_on, active;
static uintptr_t program_begin, program_end;

/* Where the program's own code lies: the first mapping named after it, with those that follow. */
static void find_program(void)
{
    char line[512], exe[256] = "";
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
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
    from_then_on = strncmp(fault, "malloc-from:", 12) == 0;
    if (from_then_on || strncmp(fault, "malloc:", 7) == 0)
        nth = strtoul(strchr(fault, ':') + 1, NULL, 10);
    active = 1;
}

__attribute__((destructor)) static void stop(void)
{
    active = 0;
    FILE *f = count_file ? fopen(count_file, "w") : NULL;
    if (f) {
        fprintf(f, "%lu\n", allocations);
        fclose(f);
    }
}

static int fails(const void *caller)
{
    if (!active || (uintptr_t)caller < program_begin || (uintptr_t)caller >= program_end)
        return 0;
    const unsigned long n = __atomic_add_fetch(&allocations, 1, __ATOMIC_RELAXED);
    return nth && (from_then_on ? n >= nth : n == nth);
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

static int interrupted(void)
{
    return strcmp(fault, "eintr") == 0 && __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % 2;
}

ssize_t write(int fd, const void *p, size_t n)
{
    if (fd > 2 && interrupted())
        return errno = EINTR, -1;
    static ssize_t (*next)(int, const void *, size_t);
    next = next ? next : dlsym(RTLD_NEXT, "write");
    return next(fd, p, fd > 2 && n > 1000 && strcmp(fault, "short") == 0 ? 1000 : n);
}

int fsync(int fd)
{
    if (interrupted())
        return errno = EINTR, -1;
    static int (*next)(int);
    next = next ? next : dlsym(RTLD_NEXT, "fsync");
    return strcmp(fault, "no-fsync") == 0 ? 0 : next(fd);
}

/* ".NAME.XXXXXX.tmp" stands for NAME beside it. */
static void remove_target(const char *temporary)
{
    char target[4096];
    const size_t n = strlen(temporary);
    const char *slash = strrchr(temporary, '/');
    const size_t at = slash ? (size_t)(slash - temporary) + 1 : 0;
    if (n < at + 13 || n >= sizeof target || temporary[at] != '.' || strcmp(temporary + n - 4, ".tmp") != 0)
        return;
    snprintf(target, sizeof target, "%.*s%.*s", (int)at, temporary, (int)(n - at - 12), temporary + at + 1);
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
    static int (*next)(const char *, int, ...);
    next = next ? next : dlsym(RTLD_NEXT, "open");
    return next(path, flags, mode);
}
