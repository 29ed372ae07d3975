/* ids_file.c: see ids_file.h. */
#include "train/ids_file.h"
#include "base/input_file.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 30 }; /* bytes */

/* Reads the ids of one line. */
static int read_line(char *line, size_t vocab_size, uint32_t *ids, size_t *n, const char *where,
                     struct error *err)
{
    static const char blanks[] = " \t\r\v\f";
    char *rest = NULL, *end;
    *n = 0;
    for (char *word = strtok_r(line, blanks, &rest); word; word = strtok_r(NULL, blanks, &rest)) {
        errno = 0;
        const unsigned long long id = strtoull(word, &end, 10);
        if (!isdigit((unsigned char)*word) || errno || *end)
            return fail(err, "%s: '%s' is not a token id in decimal", where, word);
        if (id >= vocab_size)
            return fail(err, "%s: token id %llu, expected less than vocab_size %zu", where, id,
                        vocab_size);
        ids[(*n)++] = id;
    }
    return 0;
}

static int read_rows(char *text, const char *path, size_t vocab_size, uint32_t *ids, size_t *rows,
                     size_t *columns, struct error *err)
{
    size_t n;
    *rows = *columns = 0;
    char *rest = text, where[512];
    for (size_t number = 1; rest; number++) {
        char *line = strsep(&rest, "\n");
        snprintf(where, sizeof where, "%.400s: line %zu", path, number);
        if (read_line(line, vocab_size, ids + *rows * *columns, &n, where, err))
            return -1;
        if (n && *rows && n != *columns)
            return fail(err, "%s: %zu ids, but the previous rows have %zu", where, n, *columns);
        *columns = n ? n : *columns;
        *rows += n > 0;
    }
    return *columns < 2 ? fail(err, "%s: expected rows of T+1 token ids, T at least 1", path) : 0;
}

int ids_file_read(const char *path, size_t vocab_size, uint32_t **ids, size_t *rows,
                  size_t *columns, struct error *err)
{
    char *text = input_file_text(path, NO_LINKS, FILE_MAX, err);
    if (!text)
        return -1;
    *ids = malloc((strlen(text) / 2 + 1) * sizeof **ids); /* an id and a blank take two bytes */
    int status = *ids ? read_rows(text, path, vocab_size, *ids, rows, columns, err)
                      : fail(err, "%s: out of memory", path);
    if (status) {
        free(*ids);
        *ids = NULL;
    }
    free(text);
    return status;
}
