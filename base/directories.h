/* directories.h: creating directories. */
#ifndef DIRECTORIES_H
#define DIRECTORIES_H

#include "base/error.h"
#include <stdbool.h>

/* Creates the directory and its missing parents, like mkdir -p. A path that exists is left alone,
 * whatever it is. *created (may be NULL): whether any directory was created. */
int make_directories(const char *path, bool *created, struct error *err);

#endif
