/* output.c: see output.h. */
#include "train/cli/output.h"
#include "base/utf8.h"
#include <stdbool.h>
#include <stdio.h>

void print_escaped(const char *bytes, size_t n, char quote)
{
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        const char byte = bytes[i];
        const int length = utf8_decode(bytes + i, n - i, &c);
        const bool control = c < 0x20 || (c >= 0x7f && c < 0xa0);
        if (byte == '\n' || byte == '\t')
            printf("\\%c", byte == '\n' ? 'n' : 't');
        else if (quote && (byte == quote || byte == '\\'))
            printf("\\%c", byte);
        else if (length > 0 && !control)
            fwrite(bytes + i, 1, (size_t)length, stdout);
        else
            for (int k = 0; k < (length > 0 ? length : 1); k++)
                printf("\\x%02x", (unsigned char)bytes[i + (size_t)k]);
        i += length > 0 ? (size_t)length : 1;
    }
}
