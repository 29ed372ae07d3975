/* child.c: runs a measurement in a child process, and times it there. */
#include "base/clock.h"
#include "base/median.h"
#include "base/memory.h"
#include "base/omp_wait.h"
#include "train/bench/bench.h"
#include <errno.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Linux grants more memory than there is, and kills some process when it is used. With this limit,
 * of what is available on top of the process's present data, the allocation fails instead. */
static void limit_memory(void)
{
    const size_t available = memory_available();
    size_t data = 0; /* pages */
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%*u %*u %*u %*u %*u %zu", &data) == 1 && available < SIZE_MAX) {
        const rlim_t limit = available + data * sysconf(_SC_PAGESIZE);
        setrlimit(RLIMIT_DATA, &(struct rlimit){limit, limit});
    }
    if (f)
        fclose(f);
}

static _Noreturn void run_child(struct bench *b, measurement *measure)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    limit_memory();
    omp_wait_adapt();
    const int status = measure(b);
    fflush(stdout);
    _exit(status ? 1 : 0);
}

static void copy_output(int fd)
{
    char text[4096];
    ssize_t n;
    while ((n = read(fd, text, sizeof text)) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        report_progress(NULL, NULL);
        fwrite(text, 1, n, stdout);
        fflush(stdout);
    }
}

int bench_child(struct bench *b, const struct workload *w, const char *what, measurement *measure)
{
    const char *name = w ? w->name : "the machine";
    int fds[2] = {-1, -1}, status = 0;
    *b->err.text = 0;
    b->workload = w;
    report_progress(name, what);
    fflush(NULL);
    const pid_t pid = pipe(fds) ? -1 : fork();
    const int error = errno;
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        run_child(b, measure);
    }
    close(fds[1]);
    copy_output(fds[0]);
    close(fds[0]);
    report_progress(NULL, NULL);
    if (!w || w->kind != WORKLOAD_MEMORY) /* whose children print one table together */
        b->rows = 0;
    if (pid < 0)
        return fail(&b->err, "%s: cannot start a process: %s", name, strerror(error));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status && !*b->err.text)
        fail(&b->err, "%s: its process ended early: %s", name,
             WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "unexpected exit");
    return status ? -1 : 0;
}

int bench_no_memory(struct bench *b, const char *what)
{
    return fail(&b->err, "%s: not enough memory for %s", b->workload->name, what);
}

double bench_peak_memory(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return 1024.0 * usage.ru_maxrss;
}

enum { RUNS_MAX = 999, RUNS_MIN = 3, PATIENCE = 5 };

struct timing time_runs(void (*f)(void *), void *context, size_t runs, double budget)
{
    double t[RUNS_MAX];
    size_t n = 0;
    f(context);
    const double start = seconds(), waited = seconds_in_run_queue();
    double now = start;
    while (runs ? n < runs
                : n < RUNS_MAX &&
                      (n == 0 || now - start < (n < RUNS_MIN ? PATIENCE * budget : budget))) {
        const double before = now;
        f(context);
        now = seconds();
        t[n++] = now - before;
    }
    const double waiting =
        (seconds_in_run_queue() - waited) / (omp_get_max_threads() * (now - start));
    const double median = sort_and_median(t, n);
    return (struct timing){.runs = n,
                           .median = median,
                           .q1 = t[n / 4],
                           .q3 = t[n - 1 - n / 4],
                           .min = t[0],
                           .max = t[n - 1],
                           .waited = waiting};
}

/* In [-1/2, 1/2) without a pattern (MurmurHash3's finaliser): similar rows would make logits so far
 * apart that their exponentials are denormal, which is a hundred times slower on some CPUs. */
void bench_fill(float *x, size_t n)
{
#pragma omp parallel for
    for (size_t i = 0; i < n; i++) {
        uint32_t h = i;
        h = (h ^ h >> 16) * 0x85ebca6bu;
        h = (h ^ h >> 13) * 0xc2b2ae35u;
        x[i] = (h ^ h >> 16) * 0x1p-32 - 0.5;
    }
}

void bench_fill_ids(uint32_t *ids, size_t n, size_t vocab_size)
{
    for (size_t i = 0; i < n; i++)
        ids[i] = i * 2654435761u % vocab_size;
}
