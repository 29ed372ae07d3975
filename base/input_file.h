/* input_file.h: opening and reading untrusted files. */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

/* Symbolic links may lead anywhere; they are followed for files that the user has named. */
enum links { NO_LINKS, FOLLOW_LINKS };

/* Opens a regular file for reading. Returns the descriptor and the file's size, or -1. */
int input_file_open(const char *path, enum links links, uint64_t *size, struct error *err);

/* Reads exactly `size` bytes at an offset; a shorter file is an error. */
int input_file_read(int fd, uint64_t offset, void *bytes, size_t size, const char *path,
                    struct error *err);

/* Reads a whole text file of at most `max` bytes without zero bytes, and terminates it. The caller
 * frees it. NULL on error. */
char *input_file_text(const char *path, enum links links, size_t max, struct error *err);
