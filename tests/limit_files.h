/* limit_files.h: simulates a full disk within a process by limiting the size of files. */
#pragma once

#include "tests/files.h"
#include <signal.h>
#include <sys/resource.h>

/* Sets the limit. No assertion may be made under a limit, because Check writes to a file itself. */
FIXTURE void limit_files(rlim_t size)
{
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit limit = {size, RLIM_INFINITY};
    setrlimit(RLIMIT_FSIZE, &limit);
}
