/* output.c: see output.h. */
#include "train/cli/output.h"
#include "base/utf8.h"
#include <stdio.h>
#include <stdlib.h>

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

static bool allocation_failed;

static void *json_malloc(size_t n)
{
    void *p = malloc(n);
    allocation_failed |= !p;
    return p;
}

cJSON *json_create(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){json_malloc, free});
    return cJSON_CreateObject();
}

bool json_failed(void)
{
    return allocation_failed;
}

int json_print(cJSON *object, struct error *err)
{
    char *text = cJSON_PrintUnformatted(object);
    if (!json_failed())
        puts(text);
    free(text);
    cJSON_Delete(object);
    return json_failed() ? fail(err, "out of memory") : 0;
}
