/* sandbox.c: see sandbox.h. Closest in spirit: OpenSSH's privilege separation ("Preventing Privilege Escalation", Provos, Friedl
 * and Honeyman 2003), with nothing but bytes between the two. */
#include "data/hdf5/sandbox.h"
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef HAVE_SECCOMP
#include <seccomp.h>
#endif

#ifndef __has_feature /* clang's way to ask */
#define __has_feature(x) 0
#endif
#if defined __SANITIZE_ADDRESS__ || __has_feature(address_sanitizer) /* keeps what was freed */
#define MEMORY ((rlim_t)4 << 30)
#else
#define MEMORY ((rlim_t)256 << 20) /* bytes, beyond what the parent has mapped */
#endif

enum {
    PROCESSOR_SECONDS = 30 /* the wall clock gets ten times that: machines are shared */
};

/* In front of the result, on a page of its own. */
struct header {
    volatile size_t size;
    volatile int done;
};

static size_t page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* Bytes of address space in use, 0 where the system does not tell. */
static size_t mapped_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * page();
}

static void limit(int resource, rlim_t most)
{
    struct rlimit r;
    if (getrlimit(resource, &r) == 0 && most < r.rlim_max)
        r.rlim_max = most;
    r.rlim_cur = r.rlim_max;
    setrlimit(resource, &r);
}

#ifdef HAVE_SECCOMP
/* What malloc, the clock, initialisers that run once and the end of a process need. Anything else fails with EPERM, so that a library that asks for more is
 * told no and goes on. There is no file descriptor to use a read or write with. */
static void allow_little(void)
{
    static const int CALLS[] = {
        SCMP_SYS(brk),          SCMP_SYS(mmap),      SCMP_SYS(munmap),        SCMP_SYS(mremap),
        SCMP_SYS(mprotect),     SCMP_SYS(madvise),   SCMP_SYS(exit),          SCMP_SYS(exit_group),
        SCMP_SYS(rt_sigreturn), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(futex)};
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    for (size_t i = 0; filter && i < sizeof CALLS / sizeof *CALLS; i++)
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALLS[i], 0);
    if (filter)
        seccomp_load(filter);
    seccomp_release(filter);
}
#else
static void allow_little(void)
{
}
#endif

#ifdef SANDBOX_OPEN /* make memcheck: valgrind lives in the same process, and cannot without files, memory and calls of its own */
static void confine(size_t mapped)
{
    (void)mapped, (void)limit, (void)allow_little;
}
#else
/* Signals as at a program's start, but for those by which a user or a system ends or asks something of a program: a terminal sends them to
 * the child as well, and a file would be called damaged for it. What its parent makes of them is enough, since it ends with its parent. */
static void reset_signals(void)
{
    static const int ASKED[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    sigset_t asked;
    sigemptyset(&asked);
    for (size_t i = 0; i < sizeof ASKED / sizeof *ASKED; i++)
        sigaddset(&asked, ASKED[i]);
    sigprocmask(SIG_SETMASK, &asked, NULL);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
}

/* In the child, for good. */
static void confine(size_t mapped)
{
    reset_signals();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(10 * PROCESSOR_SECONDS);
    if (close_range(0, ~0U, 0) != 0)
        for (int fd = 0; fd < 65536; fd++)
            close(fd);
    limit(RLIMIT_CPU, PROCESSOR_SECONDS);
    limit(RLIMIT_NOFILE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NPROC, 0);
    if (mapped)
        limit(RLIMIT_AS, mapped + MEMORY);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    allow_little();
}
#endif

/* Why a child that did not finish ended. */
static int ended(int status, const char *doing, const char *file, struct error *err)
{
    const int s = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (s == SIGKILL || s == SIGXCPU || s == SIGALRM)
        return fail(err, "%s: %s reached the limit of time or memory", file, doing);
    if (s)
        return fail(err, "%s: %s crashed the process that was set apart for it (%s)", file, doing,
                    strsignal(s));
    return fail(err, "%s: %s made the process that was set apart for it give up", file, doing);
}

/* Waits for its end. ECHILD where SIGCHLD is ignored: then it has ended as well. */
static int wait_for(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* A copy, since what is shared might still change: a child that was taken over may have left one of its own behind. */
static int take_result(struct sandbox_result *r, const struct header *shared, size_t capacity,
                       const char *doing, const char *file, struct error *err)
{
    const size_t size = shared->size;
    if (size > capacity)
        return fail(err, "%s: %s gave more bytes than it may", file, doing);
    r->bytes = malloc(size ? size : 1);
    if (!r->bytes)
        return fail(err, "%s: out of memory for %zu bytes: %s", file, size, doing);
    memcpy(r->bytes, (const char *)shared + page(), size);
    r->size = size;
    return 0;
}

int sandbox_run(struct sandbox_result *r, sandbox_work *work, void *argument, size_t capacity,
                const char *doing, const char *file, struct error *err)
{
    *r = (struct sandbox_result){0};
    struct header *shared = mmap(NULL, page() + capacity, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (shared == MAP_FAILED) {
        fail(err, "%s: out of memory for the process that works on it", file);
        return SANDBOX_NO_CHILD;
    }
    const size_t mapped = mapped_bytes();
    const pid_t child = fork();
    if (child == 0) {
        confine(mapped);
        shared->size = work(argument, (char *)shared + page(), capacity);
        shared->done = 1;
        _exit(0);
    }
    int status = SANDBOX_NO_CHILD;
    if (child < 0)
        fail(err, "%s: cannot start the process that works on it: %s", file, strerror(errno));
    else {
        const int end = wait_for(child);
        status = shared->done ? take_result(r, shared, capacity, doing, file, err)
                              : ended(end, doing, file, err);
    }
    munmap(shared, page() + capacity);
    return status;
}

void sandbox_free(struct sandbox_result *r)
{
    free(r->bytes);
    *r = (struct sandbox_result){0};
}
