/* gradcheck_diagnose.c: handgrad gradcheck --diagnose OP FILE.so. The file is loaded and run in a
 * child process with limits on time and memory, so that a crash or an endless loop is reported. */
#include "train/grade/diagnosis.h"
#include "train/grade/gradcheck_report.h"
#include "train/json.h"
#include <dlfcn.h>
#include <errno.h>
#include <omp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CPU_SECONDS = 60, WALL_SECONDS = 120, BUSY_SECONDS = 5, MEMORY = 1 << 30 };

/* Shared by parent and child. */
struct report {
    struct diagnosis d;
    bool loaded;
    char error[512]; /* why the file cannot be used */
};

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

/* Runs the code of the file. */
static void child(struct report *r, enum op op, const char *path)
{
    const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], SIG_DFL); /* sanitizers turn them into an exit */
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, CPU_SECONDS);
    limit_memory();
    omp_set_num_threads(1);             /* the cases are small */
    dup2(STDERR_FILENO, STDOUT_FILENO); /* what the file prints is not part of the answer */
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(r->error, sizeof r->error, "%.500s", dlerror());
        return;
    }
    r->loaded = true;
    void (**mask)(double *, const struct dropout *, uint32_t, uint64_t, size_t, size_t) =
        dlsym(library, "handgrad_dropout_mask");
    if (mask)
        *mask = dropout_mask_f64;
    op_function *forward = find(library, op, "forward"), *backward = find(library, op, "backward");
    if (!forward && !backward)
        snprintf(r->error, sizeof r->error, "%.300s: defines neither %s_forward nor %s_backward",
                 path, op_info[op].function, op_info[op].function);
    else
        diagnose(&r->d, op, forward, backward);
}

/* Waits for the child, at most BUSY_SECONDS in one call of the file's code and WALL_SECONDS in
 * total. Returns its status. A child that takes too long is killed, and *late is set. */
static int wait_for(pid_t pid, const struct report *r, bool *late)
{
    const struct timespec tick = {0, 10 * 1000 * 1000};
    char doing[sizeof r->d.doing] = "";
    int status, ticks = 0, busy = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        nanosleep(&tick, NULL);
        char now[sizeof doing];
        memcpy(now, r->d.doing, sizeof now);
        busy = now[0] && !strcmp(now, doing) ? busy + 1 : 0;
        memcpy(doing, now, sizeof doing);
        if (++ticks > WALL_SECONDS * 100 || busy > BUSY_SECONDS * 100) {
            *late = true;
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            break;
        }
    }
    return status;
}

static void print(const struct gradcheck_options *o, const struct report *r)
{
    static const char *const verdicts[] = {"not given", "right", "known mistake", "wrong"};
    const struct finding *forward = &r->d.finding[0], *backward = &r->d.finding[1];
    if (!o->json) {
        for (const struct finding *f = forward; f <= backward; f++)
            if (f->verdict != NOT_GIVEN)
                puts(f->text);
        return;
    }
    json_print(json_add(NULL, FIELDS(TEXT("op", op_info[o->diagnosed].name),
                                     TEXT("forward", verdicts[forward->verdict]),
                                     TEXT("backward", verdicts[backward->verdict]),
                                     TEXT("forward_text", forward->text),
                                     TEXT("backward_text", backward->text))));
}

static int conclude(const struct gradcheck_options *o, const struct report *r, int status,
                    bool late, struct error *err)
{
    const char *doing = r->d.doing[0] ? r->d.doing
                        : r->loaded   ? "what its calls left behind (a write beyond an array?)"
                                      : "loading it";
    if (late || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU))
        return fail(err, "%s: %s does not end", o->library, doing), 1;
    if (WIFSIGNALED(status))
        return fail(err, "%s: %s crashes: %s", o->library, doing, strsignal(WTERMSIG(status))), 1;
    if (r->error[0])
        return fail(err, "%s", r->error), 1;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || r->d.doing[0])
        return fail(err, "%s: %s ends the program", o->library, doing), 1;
    if (r->d.out_of_memory)
        return fail(err, "out of memory"), 1;
    print(o, r);
    return r->d.finding[0].verdict > RIGHT || r->d.finding[1].verdict > RIGHT;
}

int gradcheck_diagnose(const struct gradcheck_options *o, struct error *err)
{
    /* A bare name is a file in this directory, not one on the library path. */
    char path[4096];
    if (snprintf(path, sizeof path, "%s%s", strchr(o->library, '/') ? "" : "./", o->library) >=
        (int)sizeof path)
        return fail(err, "%s: the path is too long", o->library), 1;
    if (access(path, R_OK))
        return fail(err, "%s: %s", o->library, strerror(errno)), 1;
    struct report *r =
        mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (r == MAP_FAILED)
        return fail(err, "out of memory"), 1;
    fflush(NULL);
    const pid_t pid = fork();
    if (pid == 0) {
        child(r, o->diagnosed, path);
        fflush(NULL);
        _exit(0);
    }
    bool late = false;
    int code = 1;
    if (pid < 0) {
        fail(err, "cannot start a process: %s", strerror(errno));
    } else {
        const int status = wait_for(pid, r, &late);
        code = conclude(o, r, status, late, err);
    }
    munmap(r, sizeof *r);
    return code;
}
