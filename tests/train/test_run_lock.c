/* test_run_lock.c: one run at a time in a directory, however the previous one ended. */
#include "tests/files.h"
#include "train/run_lock.h"
#include <signal.h>
#include <sys/wait.h>

/* A process that takes the lock, then waits to be killed, or ends without releasing it. */
static pid_t hold_lock(bool stay)
{
    int ready[2];
    ck_assert_int_eq(pipe(ready), 0);
    const pid_t child = fork();
    if (child == 0) {
        struct run_lock lock;
        const char taken = run_lock_take(&lock, folder, NULL) == 0;
        if (write(ready[1], &taken, 1) != 1)
            _exit(1);
        while (stay)
            pause();
        _exit(0);
    }
    char taken = 0;
    ck_assert_int_eq(read(ready[0], &taken, 1), 1);
    ck_assert_int_eq(taken, 1);
    close(ready[0]);
    close(ready[1]);
    return child;
}

START_TEST(one_run_per_directory)
{
    enter_folder();
    struct run_lock lock;
    char expected[160], host[64] = "";
    const pid_t owner = hold_lock(true);
    gethostname(host, sizeof host - 1);
    ck_assert_int_eq(run_lock_take(&lock, folder, &err), -1);
    snprintf(expected, sizeof expected, "/lock: locked by process %d on host %s", (int)owner, host);
    ck_assert_msg(strstr(err.text, expected), "%s", err.text);
    ck_assert_int_eq(lock.fd, -1);
    kill(owner, SIGKILL);
    waitpid(owner, NULL, 0);
    OK(run_lock_take(&lock, folder, &err)); /* the owner was killed */
    run_lock_release(&lock);
    ck_assert_uint_eq(count_files(), 0);
    waitpid(hold_lock(false), NULL, 0);
    /* The number now belongs to a living process, which does not matter, as it has no kernel
     * lock. */
    FILE *f = fopen(in_folder("lock"), "w");
    fprintf(f, "process %d on host %s\n", (int)getppid(), host);
    fclose(f);
    OK(run_lock_take(&lock, folder, &err));
    run_lock_release(&lock);
    remove_folder();
    ck_assert_int_eq(run_lock_take(&lock, folder, &err), -1);
}
END_TEST

SUITE("train/run lock", one_run_per_directory)
