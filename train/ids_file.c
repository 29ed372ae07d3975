/* ids_file.c: see ids_file.h. */
#include "train/ids_file.h"
#include "base/input_file.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 30 }; /* bytes */

struct rows {
    uint32_t *ids;
    size_t n, capacity, rows, columns;
};

static int append(struct rows *r, uint32_t id)
{
    if (r->n == r->capacity) {
        const size_t capacity = r->capacity ? 2 * r->capacity : 1024;
        uint32_t *ids = realloc(r->ids, capacity * sizeof *ids);
        if (!ids)
            return -1;
        r->ids = ids;
        r->capacity = capacity;
    }
    r->ids[r->n++] = id;
    return 0;
}

static int read_line(struct rows *r, const char *line, const char *path, size_t number,
                     size_t vocab_size, struct error *err)
{
    const size_t before = r->n;
    for (const char *p = line;;) {
        while (isspace((unsigned char)*p))
            p++;
        if (!*p)
            break;
        char *end;
        errno = 0;
        const unsigned long long id = strtoull(p, &end, 10);
        if (!isdigit((unsigned char)*p) || errno || (*end && !isspace((unsigned char)*end)))
            return fail(err, "%s: line %zu: '%.*s' is not a token id in decimal", path, number,
                        (int)strcspn(p, " \t\r\n"), p);
        if (id >= vocab_size)
            return fail(err, "%s: line %zu: token id %llu, but the model has %zu symbols", path,
                        number, id, vocab_size);
        if (append(r, (uint32_t)id))
            return fail(err, "%s: no memory", path);
        p = end;
    }
    const size_t columns = r->n - before;
    if (columns == 0)
        return 0;
    if (r->rows && columns != r->columns)
        return fail(err, "%s: line %zu: %zu ids, but the rows before have %zu", path, number,
                    columns, r->columns);
    r->columns = columns;
    r->rows++;
    return 0;
}

int ids_file_read(const char *path, size_t vocab_size, uint32_t **ids, size_t *rows,
                  size_t *columns, struct error *err)
{
    char *text = input_file_text(path, FILE_MAX, err);
    if (!text)
        return -1;
    struct rows r = {0};
    size_t number = 0;
    int status = 0;
    for (char *line = text, *end; *line && status == 0; line = end) {
        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = '\0';
        status = read_line(&r, line, path, ++number, vocab_size, err);
    }
    if (status == 0 && r.columns < 2)
        status = fail(err, "%s: expected rows of T+1 token ids, T at least 1", path);
    free(text);
    if (status) {
        free(r.ids);
        return -1;
    }
    *ids = r.ids;
    *rows = r.rows;
    *columns = r.columns;
    return 0;
}
