/* text_append.c: see text_append.h. */
#include "base/text_append.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

char *text_append(char *text, size_t size, const char *format, ...)
{
    const size_t n = size ? strlen(text) : 0;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(size ? text + n : NULL, size - n, format, arguments);
    va_end(arguments);
    return text;
}
