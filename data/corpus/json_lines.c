/* json_lines.c: see json_lines.h. */
#include "data/corpus/json_lines.h"
#include "base/array.h"
#include "base/utf8.h"
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Whether a string in the line has the character U+0000, at which cJSON's strings would end. */
static bool has_nul(const char *line)
{
    for (const char *at = line; (at = strchr(at, '\\')); at += 2)
        if (!strncmp(at, "\\u0000", 6))
            return true;
    return false;
}

/* The first byte that is not valid UTF-8, or NULL. */
static const char *invalid_byte(const char *text, size_t n)
{
    uint32_t c;
    size_t i = 0;
    for (int m; i < n && (m = utf8_decode(text + i, n - i, &c)) > 0;)
        i += m;
    return i < n ? text + i : NULL;
}

static int take_text(struct json_lines *j, const cJSON *object, struct error *err)
{
    const cJSON *field = cJSON_GetObjectItemCaseSensitive(object, j->field);
    if (!cJSON_IsString(field))
        return fail(err,
                    "%s: line %" PRIu64 ": expected a JSON object with a string \"%s\" "
                    "(--json-field names the field)",
                    j->path, j->number, j->field);
    const size_t n = strlen(field->valuestring);
    return n ? j->take(j->context, field->valuestring, n, err) : 0;
}

/* Takes the line that is complete. */
static int take_line(struct json_lines *j, struct error *err)
{
    const size_t n = j->n;
    j->n = 0;
    j->number++;
    j->line[n] = '\0';
    if (strspn(j->line, " \t\r") == n)
        return 0;
    if (invalid_byte(j->line, n))
        return fail(err, "%s: line %" PRIu64 ": byte %zu is not valid UTF-8", j->path, j->number,
                    (size_t)(invalid_byte(j->line, n) - j->line) + 1);
    if (strlen(j->line) < n || has_nul(j->line))
        return fail(err, "%s: line %" PRIu64 ": contains a NUL character", j->path, j->number);
    const char *end = NULL;
    cJSON *object = cJSON_ParseWithOpts(j->line, &end, true);
    const int status = object ? take_text(j, object, err)
                              : fail(err, "%s: line %" PRIu64 ": not JSON from byte %zu on",
                                     j->path, j->number, end ? (size_t)(end - j->line) + 1 : 1);
    cJSON_Delete(object);
    return status;
}

int json_lines_add(struct json_lines *j, const char *bytes, size_t n, struct error *err)
{
    while (n > 0) {
        const char *end = memchr(bytes, '\n', n);
        const size_t m = end ? (size_t)(end - bytes) : n;
        if (!array_reserve(&j->line, &j->capacity, j->n + m + 1))
            return fail(err, "%s: line %" PRIu64 ": out of memory", j->path, j->number + 1);
        memcpy(j->line + j->n, bytes, m);
        j->n += m;
        if (end && take_line(j, err))
            return -1;
        bytes += m + (end != NULL);
        n -= m + (end != NULL);
    }
    return 0;
}

int json_lines_finish(struct json_lines *j, struct error *err)
{
    return j->n ? take_line(j, err) : 0;
}

void json_lines_free(struct json_lines *j)
{
    free(j->line);
    j->line = NULL;
}
