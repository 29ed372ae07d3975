/* run_lock.h: a lock file that allows one run at a time in a directory. */
#pragma once

#include "train/checkpoint/run_directory.h"

struct run_lock {
    int fd; /* -1: not locked */
    char path[RUN_PATH_MAX];
};

/* Locks DIR/lock, a file that names this process and host. Fails, naming the owner, if another
 * process holds it. The lock of a process that has died is taken over. */
int run_lock_take(struct run_lock *lock, const char *dir, struct error *err);
/* Removes the file. */
void run_lock_release(struct run_lock *lock);
