/* input_file.h: the one way in which files of others are opened. */
#ifndef INPUT_FILE_H
#define INPUT_FILE_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

/* A regular file for reading, its size, and no other thing: a pipe would hang, a device has no end, and a symbolic link in a
 * folder of somebody else may lead anywhere. The descriptor, or -1. */
int input_file_open(const char *path, uint64_t *size, struct error *err);
/* The same, but through links: for a file that the user has named, and that other programs keep as one. */
int input_file_open_linked(const char *path, uint64_t *size, struct error *err);
/* Exactly size bytes at an offset. */
int input_file_read(int fd, uint64_t offset, void *bytes, size_t size, const char *path,
                    struct error *err);
/* All of a text, with a terminator, for the caller to free; NULL where it is longer than max or holds a zero byte. */
char *input_file_text(const char *path, size_t max, struct error *err);

#endif
