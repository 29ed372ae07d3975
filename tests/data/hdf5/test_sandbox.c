/* test_sandbox.c: what a sandboxed process returns, what it cannot do, and how its death is
 * reported. */
#include "base/clock.h"
#include "data/hdf5/sandbox.h"
#include "tests/data_fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#ifdef HAVE_SECCOMP
#include <linux/seccomp.h>
#include <seccomp.h>
#endif

enum { CAPACITY = 1 << 20 };

static int run(struct sandbox_result *r, sandbox_work *work, void *argument)
{
    return sandbox_run(r, work, argument, CAPACITY, "reading it", "f.h5", &err);
}

static size_t fill(void *argument, void *result, size_t capacity)
{
    memset(result, *(int *)argument, capacity - 10);
    return capacity - 10;
}

START_TEST(result_is_returned)
{
    struct sandbox_result r;
    OK(run(&r, fill, &(int){7}));
    ck_assert_uint_eq(r.size, CAPACITY - 10);
    for (size_t i = 0; i < r.size; i++)
        EXPECT(((char *)r.bytes)[i] == 7);
    sandbox_free(&r);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    signal(SIGCHLD, SIG_IGN); /* inherited from some programs */
    OK(run(&r, fill, &(int){7}));
    sandbox_free(&r);
}
END_TEST

static size_t fill_slowly(void *argument, void *result, size_t capacity)
{
    const double end = seconds() + 0.5;
    while (seconds() < end)
        ;
    return fill(argument, result, capacity);
}

/* Like Ctrl-C in a terminal, which goes to all processes of a group: a child does not die of a
 * signal that its parent survives. */
START_TEST(signals_to_the_group_spare_the_child)
{
    static const int SENT[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    struct sandbox_result r;
    setpgid(0, 0);
    for (size_t i = 0; i < sizeof SENT / sizeof *SENT; i++)
        signal(SENT[i], SIG_IGN);
    const pid_t sender = fork();
    if (sender == 0) {
        usleep(100000);
        for (size_t i = 0; i < sizeof SENT / sizeof *SENT; i++)
            kill(0, SENT[i]);
        _exit(0);
    }
    OK(run(&r, fill_slowly, &(int){7}));
    sandbox_free(&r);
    ck_assert_int_eq(waitpid(sender, NULL, 0), sender);
}
END_TEST

static size_t return_too_much(void *argument, void *result, size_t capacity)
{
    (void)argument, (void)result;
    return capacity + 1;
}

static size_t crash(void *argument, void *result, size_t capacity)
{
    (void)argument, (void)result, (void)capacity;
    __builtin_trap();
}

static size_t leave(void *argument, void *result, size_t capacity)
{
    (void)argument, (void)result, (void)capacity;
    _exit(0);
}

START_TEST(failures_are_reported)
{
    struct sandbox_result r;
    FAILS(run(&r, crash, NULL), "f.h5: reading it crashed");
    sandbox_free(&r);
    FAILS(run(&r, leave, NULL), "f.h5: reading it ended the sandboxed process early");
    sandbox_free(&r);
    FAILS(run(&r, return_too_much, NULL), "f.h5: reading it returned more bytes than allowed");
    sandbox_free(&r);
}
END_TEST

/* Attempts that a compromised parser could make; returns the letters of those that succeed. */
static size_t attack(void *argument, void *result, size_t capacity)
{
    (void)capacity;
    char *out = result;
    size_t n = 0;
    out[n++] = '.';
    if (open("/etc/passwd", O_RDONLY) >= 0)
        out[n++] = 'o';
    if (open(argument, O_WRONLY | O_CREAT, 0600) >= 0)
        out[n++] = 'c';
    if (write(2, "", 0) == 0 || read(0, out + 100, 0) == 0)
        out[n++] = 'd'; /* a descriptor of the parent */
    if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0)
        out[n++] = 's';
    if (mmap(NULL, (size_t)1 << 40, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED)
        out[n++] = 'm';
#ifdef HAVE_SECCOMP
    if (fork() >= 0)
        out[n++] = 'f';
    if (kill(getppid(), 0) == 0)
        out[n++] = 'k';
    if (unlink(argument) == 0 || errno != EPERM)
        out[n++] = 'u';
#endif
    return n;
}

START_TEST(attacks_fail)
{
    enter_folder();
    struct sandbox_result r;
#ifndef SANDBOX_OPEN /* the sandbox is open under valgrind */
    OK(run(&r, attack, (void *)in_folder("made")));
    ck_assert_msg(r.size == 1, "%.*s", (int)r.size, (char *)r.bytes);
    sandbox_free(&r);
#else
    (void)r;
#endif
    /* The control: outside, nearly all of them succeed. */
    char out[200];
    ck_assert_uint_ge(attack((void *)in_folder("made"), out, sizeof out), 6);
}
END_TEST

#if defined HAVE_SECCOMP && !defined SANDBOX_OPEN
/* Makes both ways to install a filter fail, as on a kernel without them. */
static void disable_filters(void)
{
    const scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    OK(seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0));
    const struct scmp_arg_cmp set = {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = PR_SET_SECCOMP};
    OK(seccomp_rule_add(f, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1, set));
    OK(seccomp_load(f));
    seccomp_release(f);
}

/* The child still cannot open, create, connect or map anything, but it can send signals. */
START_TEST(limits_hold_without_a_filter)
{
    enter_folder();
    struct sandbox_result r;
    disable_filters();
    OK(run(&r, attack, (void *)in_folder("made")));
    const char *succeeded = r.bytes;
    for (const char *c = "ocdsm"; *c; c++)
        ck_assert_msg(!memchr(succeeded, *c, r.size), "%.*s", (int)r.size, succeeded);
    ck_assert_ptr_nonnull(memchr(succeeded, 'k', r.size));
    sandbox_free(&r);
    OK(run(&r, fill, &(int){7}));
    sandbox_free(&r);
}
END_TEST
#else
START_TEST(limits_hold_without_a_filter) /* covered by attacks_fail */
{
}
END_TEST
#endif

/* Opening a pipe would block until another process writes to it. */
START_TEST(pipes_are_rejected)
{
    enter_folder();
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    alarm(5);
    FAILS(!tokenizer_load_any(in_folder("pipe"), NULL, &err), "pipe: not a regular file");
    alarm(0);
}
END_TEST

SUITE("data/hdf5/sandbox", result_is_returned, signals_to_the_group_spare_the_child,
      failures_are_reported, attacks_fail, limits_hold_without_a_filter, pipes_are_rejected)
