/* bench.h: what the parts of `handgrad bench` share.
 *
 * Each measurement runs in a child process that prints its result, so its peak memory is its own,
 * and a child that the kernel kills costs one measurement. */
#pragma once

#include "base/error.h"
#include "train/bench/precision.h"
#include "train/config/config.h"
#include "train/json.h"
#include "train/peak.h"

enum workload_kind { WORKLOAD_TRAIN, WORKLOAD_DECODE, WORKLOAD_MEMORY };

struct workload {
    char name[64]; /* "gpt2-124m:4x64" */
    enum workload_kind kind;
    struct model_config config;
    size_t B, T; /* sequences, tokens of each; for WORKLOAD_DECODE, B texts */
};

enum { WORKLOADS_MAX = 64 };

struct workloads {
    struct workload list[WORKLOADS_MAX];
    size_t count;
};

enum workload_set { WORKLOADS_DEFAULT, WORKLOADS_ALL, WORKLOADS_MEMORY };

/* Appends MODEL, MODEL:BxT, decode or decode:N, or for "memory" WORKLOADS_MEMORY. Returns -1 and
 * fills in err if the name is invalid or the list is full. */
int workloads_add(struct workloads *w, const char *name, struct error *err);
int workloads_add_set(struct workloads *w, enum workload_set set, struct error *err);

enum { MEMORY_LEVELS = 7 };

struct machine {
    char cpu[128], products[256]; /* the processor; the library that products run on, and why */
    struct peak float32, bf16;
    double precision_peak; /* FLOP/s of the unit that products in this precision run on */
    double copy, read;     /* bytes/s, outside all caches */
    size_t level_bytes[MEMORY_LEVELS];
    double level_rate[MEMORY_LEVELS]; /* the faster of both over so many bytes */
};

/* In memory shared with the child processes, which write from `machine` on. */
struct bench {
    const struct bench_precision *precision;
    enum recompute recompute;
    size_t runs; /* 0: as many as fit into the time budget */
    bool json;
    const struct workload *workload; /* being measured; NULL: the machine itself */
    struct machine machine;
    double step;       /* seconds, the median of the last workload */
    double sum, bound; /* seconds, of the operations of a step */
    size_t rows;       /* of the current text table that have been printed */
    struct error err;
};

/* Measures and prints. Returns -1 and fills in b->err on failure. */
typedef int measurement(struct bench *b);
measurement measure_machine, measure_steps, measure_operations, measure_products, measure_decode,
    measure_memory;

/* Runs a measurement in a child process and returns its status; w is NULL for the machine. `what`
 * is shown meanwhile. */
int bench_child(struct bench *b, const struct workload *w, const char *what, measurement *measure);

/* Fails with "NAME: not enough memory for WHAT". */
int bench_no_memory(struct bench *b, const char *what);

/* The peak resident size of this process, in bytes. */
double bench_peak_memory(void);

struct timing {
    size_t runs;
    double median, q1, q3, min, max; /* seconds */
    double waited; /* share of the time that threads waited for a core; NAN if unknown */
};

/* Times `runs` calls of f(context) after one that does not count; for 0, as many as fit into
 * `budget` seconds, and at least three unless they take much longer. */
struct timing time_runs(void (*f)(void *), void *context, size_t runs, double budget);

/* The best of several measurements in half a second: a core whose other hardware thread serves
 * another guest of the host is half as fast meanwhile. */
struct peak best_peak(struct peak (*measure)(void));

/* Pseudo-random numbers of the size of activations, and token ids below vocab_size. */
void bench_fill(float *x, size_t n);
void bench_fill_ids(uint32_t *ids, size_t n, size_t vocab_size);

/* --- printing: docs/benchmark.md explains each key and column --- */

#define TIMING(t)                                                                                  \
    NUMBER("runs", (t).runs), NUMBER("median_s", (t).median), NUMBER("q1_s", (t).q1),              \
        NUMBER("q3_s", (t).q3), NUMBER("min_s", (t).min), NUMBER("max_s", (t).max),                \
        NUMBER("waited", (t).waited)

/* The JSON object of these fields, after kind and workload. */
cJSON *report_object(const struct bench *b, const char *kind, const struct field *fields);
/* Prints a row of a text table, title and headings before the first; nothing with --json. */
void report_row(struct bench *b, const char *title, const struct field *fields);
/* Prints the object or the row. */
void report_fields(struct bench *b, const char *kind, const char *title,
                   const struct field *fields);
/* Prints "  LABEL  MEDIAN, median of N (min …, max …)". */
void report_timing(const char *label, const struct timing *t, bool quartiles);

/* Prints "handgrad: NAME: …" on standard error. */
void report_warning(const struct bench *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Warns if other programs ran meanwhile or the runs differ a lot. */
void warn_if_noisy(const struct bench *b, const struct timing *t);
/* Shows on a terminal what is being measured; NULL erases it. */
void report_progress(const char *name, const char *what);
