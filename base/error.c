/* error.c: see error.h. */
#include "base/error.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Replaces control characters by '?', so that a file name or a damaged file cannot move the cursor
 * or fake a second line. Those above U+007F are the bytes C2 80 to C2 9F in UTF-8. */
static void replace_control_characters(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (*p < 0x20 || *p == 0x7F)
            *p = '?';
        else if (p[0] == 0xC2 && p[1] >= 0x80 && p[1] <= 0x9F)
            p[0] = p[1] = '?';
    }
}

/* Ends a truncated line with "...", without splitting a UTF-8 character. */
static void mark_truncation(char *text, size_t size)
{
    size_t end = size - sizeof "...";
    while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
        end--;
    strcpy(text + end, "...");
}

int fail(struct error *err, const char *format, ...)
{
    if (!err)
        return -1;
    /* Not formatted in place: the arguments may include err->text. */
    char text[sizeof err->text];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (length < 0)
        strcpy(text, "an error whose text could not be formatted");
    else if ((size_t)length >= sizeof text)
        mark_truncation(text, sizeof text);
    replace_control_characters(text);
    memcpy(err->text, text, sizeof text);
    return -1;
}
