/* ids_file.h: token ids as text: rows of decimal numbers. */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

/* Reads rows of equal length, with at least two ids each, all below vocab_size. *ids (rows,
 * columns) is allocated; the caller frees it. */
int ids_file_read(const char *path, size_t vocab_size, uint32_t **ids, size_t *rows,
                  size_t *columns, struct error *err);
