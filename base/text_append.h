/* text_append.h: text built up in a buffer of fixed size. */
#pragma once

#include <stddef.h>

/* Appends to the terminated text in a buffer of `size` bytes; what does not fit is cut off. Returns
 * text. */
char *text_append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
