/* worker.c: see worker.h. */
#include "train/grade/worker.h"
#include "base/clock.h"
#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <omp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CPU_SECONDS = 60, WALL_SECONDS = 120, BUSY_SECONDS = 5 };
enum { MEMORY = 1 << 30, PRINTED = 1 << 24 };

struct order {
    size_t trial;
    enum direction way;
    bool again;
};

struct greeting {
    bool has[2];
    char error[512]; /* why the file cannot be used */
};

/* --- in the process --- */

static void limit(int resource, rlim_t value)
{
    struct rlimit r;
    if (getrlimit(resource, &r) == 0 && (r.rlim_cur == RLIM_INFINITY || r.rlim_cur > value)) {
        r.rlim_cur = value;
        setrlimit(resource, &r);
    }
}

/* Limits memory beyond what the process has now, except under AddressSanitizer, which maps
 * terabytes. */
static void limit_memory(void)
{
#if !defined __SANITIZE_ADDRESS__
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%ld", &pages) == 1)
        limit(RLIMIT_AS, (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + MEMORY);
    if (f)
        fclose(f);
#endif
}

static void confine(const struct worker *w)
{
    const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], SIG_DFL); /* sanitizers turn them into an exit */
    setpgid(0, 0);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, CPU_SECONDS);
    limit(RLIMIT_FSIZE, PRINTED);
    limit_memory();
    omp_set_num_threads(1); /* the cases are small */
    dup2(w->output, STDOUT_FILENO);
    dup2(w->output, STDERR_FILENO);
}

void dropout_mask_f64(double *mask, const struct dropout *d, uint32_t site, uint64_t row,
                      size_t column, size_t n);

static op_function *find(void *library, enum op op, const char *direction)
{
    char name[64];
    snprintf(name, sizeof name, "%s_%s", op_info[op].function, direction);
    op_function *f;
    void *symbol = dlsym(library, name);
    memcpy(&f, &symbol, sizeof f);
    return f;
}

static void load(struct greeting *g, struct op_code *code, enum op op, const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(g->error, sizeof g->error, "%.500s", dlerror());
        return;
    }
    void (**mask)(double *, const struct dropout *, uint32_t, uint64_t, size_t, size_t) =
        dlsym(library, "handgrad_dropout_mask");
    if (mask)
        *mask = dropout_mask_f64;
    code->forward = find(library, op, "forward");
    code->backward = find(library, op, "backward");
    g->has[FORWARD] = code->forward;
    g->has[BACKWARD] = code->backward;
    if (!code->forward && !code->backward)
        snprintf(g->error, sizeof g->error, "%.300s: defines neither %s_forward nor %s_backward",
                 path, op_info[op].function, op_info[op].function);
}

static void work(const struct worker *w, enum op op, const char *path, struct trial *trials)
{
    struct op_code code = gradcheck_subject(op).code[NUMBER_F64];
    struct greeting g = {0};
    struct order o;
    confine(w);
    load(&g, &code, op, path);
    send(w->channel, &g, sizeof g, MSG_NOSIGNAL);
    while (recv(w->channel, &o, sizeof o, 0) == sizeof o) {
        trial_call(&trials[o.trial], &code, o.way, o.again);
        fflush(NULL); /* what it has printed, as the process will be killed */
        send(w->channel, &o, sizeof o, MSG_NOSIGNAL);
    }
}

/* --- outside --- */

/* Receives a reply of n bytes, in at most BUSY_SECONDS. */
static int await(struct worker *w, void *reply, size_t n)
{
    struct pollfd p = {.fd = w->channel, .events = POLLIN};
    const double now = seconds();
    const double until = now + BUSY_SECONDS < w->wall ? now + BUSY_SECONDS : w->wall;
    int ready;
    do
        ready = poll(&p, 1, (int)fmax(0, 1000 * (until - seconds())));
    while (ready < 0 && errno == EINTR);
    const ssize_t got = ready > 0 ? recv(w->channel, reply, n, 0) : -1;
    w->late = ready == 0;
    w->ended = ready > 0 && got <= 0;
    return got == (ssize_t)n ? 0 : -1;
}

int worker_start(struct worker *w, enum op op, const char *path, struct trial *trials,
                 struct error *err)
{
    int ends[2];
    struct greeting g;
    *w = (struct worker){.channel = -1, .wall = seconds() + WALL_SECONDS};
    w->output = memfd_create("output", MFD_CLOEXEC);
    if (w->output < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return fail(err, "cannot start a process: %s", strerror(errno));
    fflush(NULL);
    w->pid = fork();
    w->channel = ends[w->pid == 0];
    close(ends[w->pid != 0]);
    if (w->pid == 0) {
        work(w, op, path, trials);
        _exit(0);
    }
    if (w->pid < 0)
        return fail(err, "cannot start a process: %s", strerror(errno));
    if (await(w, &g, sizeof g))
        return -1;
    g.error[sizeof g.error - 1] = '\0';
    memcpy(w->has, g.has, sizeof w->has);
    return g.error[0] ? fail(err, "%s", g.error) : 0;
}

int worker_call(struct worker *w, size_t trial, enum direction way, bool again)
{
    const struct order o = {trial, way, again};
    struct order done;
    return send(w->channel, &o, sizeof o, MSG_NOSIGNAL) == sizeof o ? await(w, &done, sizeof done)
                                                                    : -1;
}

/* Waits a second for a process that has closed its end, and kills any other. */
static int end_process(struct worker *w)
{
    const struct timespec tick = {0, 10 * 1000 * 1000};
    int status = 0;
    for (int i = 0; w->ended && i < 100; i++) {
        if (waitpid(w->pid, &status, WNOHANG) > 0)
            return status;
        nanosleep(&tick, NULL);
    }
    w->late |= w->ended;
    kill(w->pid, SIGKILL);
    waitpid(w->pid, &status, 0);
    return status;
}

const char *worker_stop(struct worker *w, char text[64])
{
    if (w->channel >= 0)
        close(w->channel);
    if (w->pid <= 0)
        return "";
    const int status = end_process(w);
    kill(-w->pid, SIGKILL); /* what it has started */
    if (w->late || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU))
        return "does not end";
    if (!WIFSIGNALED(status))
        return "ends the program";
    snprintf(text, 64, "crashes: %s", strsignal(WTERMSIG(status)));
    return text;
}

void worker_output(struct worker *w, char *text, size_t size)
{
    const ssize_t n = w->output >= 0 ? pread(w->output, text, size - 1, 0) : 0;
    text[n > 0 ? n : 0] = '\0';
    if (w->output >= 0)
        close(w->output);
    w->output = -1;
}
