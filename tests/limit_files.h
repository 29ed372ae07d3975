/* limit_files.h: a full disk, as far as one process can have it: files that may not grow. */
#ifndef LIMIT_FILES_H
#define LIMIT_FILES_H

#include "tests/files.h"
#include <signal.h>
#include <sys/resource.h>

/* While files are limited nothing may be asserted: Check writes to one itself. */
FIXTURE void limit_files(rlim_t size)
{
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {size, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
}

#endif
