/* input_file.h: opening and reading untrusted files. */
#ifndef INPUT_FILE_H
#define INPUT_FILE_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

/* Opens a regular file for reading, not a symbolic link, which may lead anywhere. Returns the
 * descriptor and the file's size, or -1. */
int input_file_open(const char *path, uint64_t *size, struct error *err);
/* The same, but follows symbolic links: for files that the user has named. */
int input_file_open_linked(const char *path, uint64_t *size, struct error *err);

/* Reads exactly `size` bytes at an offset; a shorter file is an error. */
int input_file_read(int fd, uint64_t offset, void *bytes, size_t size, const char *path,
                    struct error *err);

/* Reads a whole text file of at most `max` bytes without zero bytes, and terminates it. The caller
 * frees it. NULL on error. The second function follows symbolic links. */
char *input_file_text(const char *path, size_t max, struct error *err);
char *input_file_text_linked(const char *path, size_t max, struct error *err);

#endif
