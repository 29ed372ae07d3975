/* json.c: see json.h. */
#include "train/json.h"
#include "base/utf8.h"
#include <stdio.h>
#include <stdlib.h>

static void *require(void *memory)
{
    if (memory)
        return memory;
    fprintf(stderr, "handgrad: out of memory\n");
    exit(1);
}

static void *allocate(size_t n)
{
    return require(malloc(n));
}

void json_require_memory(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){allocate, free});
}

cJSON *json_string(const char *bytes, size_t n)
{
    char *text = cJSON_malloc(4 * n + 1), *copy = text + 3 * n;
    if (!text)
        return NULL;
    for (size_t i = 0; i < n; i++)
        copy[i] = bytes[i] ? bytes[i] : (char)0xff; /* not UTF-8 */
    text[utf8_repair(copy, n, text)] = 0;
    cJSON *string = cJSON_CreateString(text);
    cJSON_free(text);
    return string;
}

void json_print(cJSON *object)
{
    char *text = require(cJSON_PrintUnformatted(object));
    puts(text);
    cJSON_free(text);
    cJSON_Delete(object);
}

cJSON *json_add(cJSON *object, const struct field *f)
{
    cJSON *o = object ? object : cJSON_CreateObject();
    for (; f->key || f->heading; f++)
        if (f->key && f->text)
            cJSON_AddStringToObject(o, f->key, f->text);
        else if (f->key)
            cJSON_AddNumberToObject(o, f->key, f->number);
    return o;
}
