/* bench_child.c: measuring in a child process, and how long something takes there. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/omp_wait.h"
#include "train/bench/bench.h"
#include <errno.h>
#include <omp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of our data, what RLIMIT_DATA counts; 0 where it is not told. */
static size_t own_bytes(void)
{
    char line[256];
    size_t kilobytes = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f) && sscanf(line, "VmData: %zu", &kilobytes) != 1)
        ;
    if (f)
        fclose(f);
    return kilobytes << 10;
}

/* The kernel promises more memory than there is, and ends some process, not always the one that asked, when the promise is
 * called in. With a limit the allocation fails, and the workload says so. */
static void limit_memory(void)
{
    const size_t available = memory_available(), own = own_bytes();
    const rlim_t limit = available + own;
    if (available < SIZE_MAX && own)
        setrlimit(RLIMIT_DATA, &(struct rlimit){limit, limit});
}

static void write_all(int fd, const void *data, size_t size)
{
    for (const char *p = data; size > 0;) {
        const ssize_t n = write(fd, p, size);
        if (n < 0 && errno != EINTR)
            return;
        p += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
}

static int read_all(int fd, void *data, size_t size)
{
    for (char *p = data; size > 0;) {
        const ssize_t n = read(fd, p, size);
        if (n == 0 || (n < 0 && errno != EINTR))
            return -1;
        p += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static _Noreturn void child(bench_work *work, const struct bench_job *job, void *result,
                            size_t size, int fd)
{
    struct error err = {""};
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* where nobody waits for it, it ends */
    limit_memory();
    omp_wait_adapt();
    const int status = work(job, result, &err);
    write_all(fd, &status, sizeof status);
    write_all(fd, status ? (void *)&err : result, status ? sizeof err : size);
    _exit(0);
}

int bench_child(bench_work *work, const struct bench_job *job, const char *what, void *result,
                size_t size, double *peak_memory, struct error *err)
{
    const char *name = job->workload ? job->workload->name : "the machine";
    int pipes[2], status = -1, end = 0;
    struct rusage usage;
    if (pipe(pipes))
        return fail(err, "%s: no pipe: %s", name, strerror(errno));
    report_progress(job, what);
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        close(pipes[0]);
        child(work, job, result, size, pipes[1]);
    }
    close(pipes[1]);
    const bool told =
        pid > 0 && read_all(pipes[0], &status, sizeof status) == 0 &&
        read_all(pipes[0], status ? (void *)err : result, status ? sizeof *err : size) == 0;
    close(pipes[0]);
    if (pid < 0)
        return fail(err, "%s: no child process: %s", name, strerror(errno));
    while (wait4(pid, &end, 0, &usage) < 0 && errno == EINTR)
        ;
    report_progress(job, NULL);
    if (!told)
        return fail(err, "%s: its process ended early (%s %d)", name,
                    WIFSIGNALED(end) ? "signal" : "status",
                    WIFSIGNALED(end) ? WTERMSIG(end) : WEXITSTATUS(end));
    if (peak_memory)
        *peak_memory = 1024 * (double)usage.ru_maxrss;
    return status;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

enum { RUNS_MAX = 999, RUNS_LEAST = 3, PATIENCE = 5 };

struct timing time_runs(void (*f)(void *), void *context, size_t runs, double budget)
{
    double t[RUNS_MAX];
    size_t n = 0;
    f(context);
    const double start = seconds(), waited = seconds_in_run_queue();
    double now = start;
    while (runs ? n < runs
                : n < RUNS_MAX &&
                      (n == 0 || now - start < (n < RUNS_LEAST ? PATIENCE * budget : budget))) {
        const double before = now;
        f(context);
        now = seconds();
        t[n++] = now - before;
    }
    const double waiting =
        (seconds_in_run_queue() - waited) / (omp_get_max_threads() * (now - start));
    qsort(t, n, sizeof *t, by_size);
    return (struct timing){.runs = n,
                           .median = n % 2 ? t[n / 2] : (t[n / 2 - 1] + t[n / 2]) / 2,
                           .q1 = t[n / 4],
                           .q3 = t[n - 1 - n / 4],
                           .min = t[0],
                           .max = t[n - 1],
                           .waited = waiting};
}
