/* json_lines.h: documents from JSON lines (.jsonl): one object per line, of which one field is a
 * document's text. */
#pragma once

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

struct json_lines {
    const char *path, *field; /* path: for error messages */
    /* Gets each document, at least one byte of valid UTF-8. */
    int (*take)(void *context, const char *text, size_t n, struct error *err);
    void *context;
    /* private */
    char *line;
    size_t n, capacity;
    uint64_t number;
};

/* Adds the next bytes of the file, in pieces of any size. Blank lines are skipped. */
int json_lines_add(struct json_lines *j, const char *bytes, size_t n, struct error *err);
/* Adds a last line that does not end with a line feed. */
int json_lines_finish(struct json_lines *j, struct error *err);
void json_lines_free(struct json_lines *j);
