/* memory.h: whether what is about to be allocated fits, asked before it is: Linux gives out memory that it does not have, and
 * kills the process that uses it. */
#ifndef MEMORY_H
#define MEMORY_H

#include "base/error.h"
#include <stddef.h>

/* Bytes that this process can still take: what the kernel calls available, or less under a limit of the control group or of the
 * address space. SIZE_MAX where the system does not say. */
size_t memory_available(void);
/* What the control groups of a process leave: `groups` is its /proc/PID/cgroup, `root` where their file system is mounted. */
size_t memory_of_groups(const char *groups, const char *root);
/* "1.5 GB", "12 MB". Returns text. */
char *memory_text(size_t bytes, char text[24]);
/* 0, or a line "NAME: needs 3.9 GB of memory, 2.1 GB are free". */
int memory_check(size_t bytes, const char *name, struct error *err);

#endif
