/* directories.h: a folder that may lie in others which are not there yet. */
#ifndef DIRECTORIES_H
#define DIRECTORIES_H

#include "base/error.h"
#include <stdbool.h>

/* Makes the folder and those it lies in, where they are missing; *created (may be NULL): whether any was. What is there already,
 * whatever it is, is left to whoever opens it. */
int make_directories(const char *path, bool *created, struct error *err);

#endif
