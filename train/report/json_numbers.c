/* json_numbers.c: see json_numbers.h. */
#include "train/report/json_numbers.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

cJSON *json_numbers(const double *x, size_t n, size_t stride, int digits)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    putc('[', out);
    for (size_t i = 0; i < n; i++, x += stride) {
        if (i)
            putc(',', out);
        if (isfinite(*x))
            fprintf(out, "%.*g", digits, *x);
        else
            fputs("null", out);
    }
    putc(']', out);
    cJSON *array = fclose(out) ? NULL : cJSON_CreateRaw(text);
    free(text);
    return array;
}
