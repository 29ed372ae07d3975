/* sandbox.c: see sandbox.h. The model is OpenSSH's privilege separation (Provos, Friedl and
 * Honeyman, "Preventing Privilege Escalation", 2003), reduced to a result of plain bytes. */
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

#ifndef __has_feature /* of clang */
#define __has_feature(x) 0
#endif
/* Bytes beyond what the parent has mapped. AddressSanitizer delays the reuse of freed memory. */
#if defined __SANITIZE_ADDRESS__ || __has_feature(address_sanitizer)
#define MEMORY ((rlim_t)4 << 30)
#else
#define MEMORY ((rlim_t)256 << 20)
#endif

/* The wall-clock limit is ten times as long, since the machine may be shared. */
enum { PROCESSOR_SECONDS = 30 };

/* Memory shared with the child. */
struct shared {
    volatile size_t size;
    volatile int done;
    _Alignas(64) char result[];
};

/* Bytes of address space in use; 0 if unknown. */
static size_t mapped_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%lu", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (size_t)getpagesize();
}

static void limit(int resource, rlim_t max)
{
    struct rlimit r;
    if (getrlimit(resource, &r) == 0 && max < r.rlim_max)
        r.rlim_max = max;
    r.rlim_cur = r.rlim_max;
    setrlimit(resource, &r);
}

/* Allows what malloc, the clock, one-time initialisation and process exit need. Other calls fail
 * with EPERM, so that a library that tries one can continue. */
static void filter_system_calls(void)
{
#ifdef HAVE_SECCOMP
    static const int CALLS[] = {
        SCMP_SYS(brk),          SCMP_SYS(mmap),      SCMP_SYS(munmap),        SCMP_SYS(mremap),
        SCMP_SYS(mprotect),     SCMP_SYS(madvise),   SCMP_SYS(exit),          SCMP_SYS(exit_group),
        SCMP_SYS(rt_sigreturn), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(futex)};
    const scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    for (size_t i = 0; i < sizeof CALLS / sizeof *CALLS; i++)
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALLS[i], 0);
    seccomp_load(filter);
    seccomp_release(filter);
#endif
}

/* For make memcheck: valgrind shares the process and needs files, memory and system calls. */
#ifdef SANDBOX_OPEN
static void confine(size_t mapped)
{
    (void)mapped, (void)limit, (void)filter_system_calls;
}
#else
/* Restores default signal handling, but blocks the signals that a terminal or system sends to the
 * parent as well, since the child's death would make the file look damaged. */
static void reset_signals(void)
{
    static const int BLOCKED[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    sigset_t blocked;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof BLOCKED / sizeof *BLOCKED; i++)
        sigaddset(&blocked, BLOCKED[i]);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
}

/* Restricts the child irrevocably. */
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
    filter_system_calls();
}
#endif

/* Reports why a child ended without finishing. */
static int fail_ended(int status, const char *doing, const char *file, struct error *err)
{
    const int s = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (s && s != SIGKILL && s != SIGXCPU && s != SIGALRM)
        return fail(err, "%s: %s crashed the sandboxed process (%s)", file, doing, strsignal(s));
    return fail(err, "%s: %s %s", file, doing,
                s ? "exceeded the time or memory limit" : "ended the sandboxed process early");
}

/* Copies the result out of shared memory, which a process started by a compromised child might
 * still change. */
static int take_result(struct sandbox_result *r, const struct shared *shared, size_t capacity,
                       const char *doing, const char *file, struct error *err)
{
    const size_t size = shared->size;
    if (size > capacity)
        return fail(err, "%s: %s returned more bytes than allowed", file, doing);
    r->bytes = malloc(size ? size : 1);
    if (!r->bytes)
        return fail(err, "%s: out of memory for %zu bytes: %s", file, size, doing);
    memcpy(r->bytes, shared->result, size);
    r->size = size;
    return 0;
}

int sandbox_run(struct sandbox_result *r, sandbox_work *work, void *argument, size_t capacity,
                const char *doing, const char *file, struct error *err)
{
    *r = (struct sandbox_result){0};
    struct shared *shared = mmap(NULL, sizeof *shared + capacity, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (shared == MAP_FAILED) {
        fail(err, "%s: out of memory for a sandboxed process", file);
        return SANDBOX_NO_CHILD;
    }
    const size_t mapped = mapped_bytes();
    const pid_t child = fork();
    if (child == 0) {
        confine(mapped);
        shared->size = work(argument, shared->result, capacity);
        shared->done = 1;
        _exit(0);
    }
    int status = SANDBOX_NO_CHILD;
    if (child < 0)
        fail(err, "%s: cannot start a sandboxed process: %s", file, strerror(errno));
    else {
        int end = 0;
        /* If SIGCHLD is ignored, this fails with ECHILD once the child has ended. */
        (void)TEMP_FAILURE_RETRY(waitpid(child, &end, 0));
        status = shared->done ? take_result(r, shared, capacity, doing, file, err)
                              : fail_ended(end, doing, file, err);
    }
    munmap(shared, sizeof *shared + capacity);
    return status;
}

void sandbox_free(struct sandbox_result *r)
{
    free(r->bytes);
    *r = (struct sandbox_result){0};
}
