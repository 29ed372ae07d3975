/* run_lock.h: one run in a folder at a time. */
#ifndef RUN_LOCK_H
#define RUN_LOCK_H

#include "base/error.h"

struct run_lock {
    int fd; /* -1 where nothing is held */
    char path[1100];
};

/* Takes DIR/lock, a file that names this process and host. Refused, with the owner's name, where another process holds it; the
 * lock of one that has died is taken over. */
int run_lock_take(struct run_lock *lock, const char *dir, struct error *err);
/* Removes it. */
void run_lock_release(struct run_lock *lock);

#endif
