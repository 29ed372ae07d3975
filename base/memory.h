/* memory.h: checks that an allocation fits before it is made, because Linux grants memory that it
 * does not have and later kills the process that uses it. */
#pragma once

#include "base/error.h"
#include <stddef.h>

/* Bytes that this process can still allocate: the kernel's MemAvailable, or less if a control group
 * or the address space is limited. SIZE_MAX if unknown. */
size_t memory_available(void);
/* The part of it that control groups allow. `groups` is /proc/PID/cgroup, `root` the mount point of
 * the cgroup file system. */
size_t memory_of_groups(const char *groups, const char *root);
/* Formats a size as "1.5 GB" or "12 MB". Returns text. */
char *memory_text(size_t bytes, char text[24]);
/* 0, or an error "NAME: needs 3.9 GB of memory, 2.1 GB are free". */
int memory_check(size_t bytes, const char *name, struct error *err);
