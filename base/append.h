/* append.h: appends to a file so that it never ends in part of a record. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Writes the bytes at *end, the end of what the file holds, and advances it. On error, cuts the
 * file back to *end and returns -1 with errno. */
int append_whole(int fd, off_t *end, const void *bytes, size_t size);
