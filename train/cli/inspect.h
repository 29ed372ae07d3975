/* inspect.h: what the parts of `handgrad inspect` share. */
#ifndef INSPECT_H
#define INSPECT_H

#include "base/error.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct inspect {
    const char *path;
    bool verify, json, plot;
    bool bold;         /* standard output is a terminal */
    unsigned problems; /* found and printed to stderr */
};

int inspect_checkpoint(struct inspect *in, struct error *err);

/* "handgrad: FILE: what", and counts it. */
void inspect_problem(struct inspect *in, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The first line of a report: "FILE  what, SIZE". */
void inspect_title(const struct inspect *in, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A line "  label   text". */
void inspect_line(const char *label, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* 1234567 as "1,234,567". */
char *inspect_count(uint64_t n, char text[32]);
/* Prints one object on a line and frees it; -1 where memory was short. */
int inspect_print_json(cJSON *object, struct error *err);

#endif
