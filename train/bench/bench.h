/* bench.h: what the parts of `handgrad bench` share. Measuring happens in child processes, so that each one's peak memory is its
 * own and the process that reports never starts a thread; what they find comes back as plain structures. */
#ifndef BENCH_H
#define BENCH_H

#include "base/error.h"
#include "model/check/ops.h"
#include "train/bench/bench_code.h"
#include <stdint.h>

/* --- what is measured --- */

enum workload_kind { WORKLOAD_TRAIN, WORKLOAD_DECODE, WORKLOAD_MEMORY };

struct workload {
    char name[64]; /* "gpt2-124m:4x64" */
    enum workload_kind kind;
    struct model_config config;
    size_t B, T;
};

enum { WORKLOADS_MAX = 64 };

struct workloads {
    struct workload list[WORKLOADS_MAX];
    size_t count;
};

/* Appends the workload of this name, MODEL or MODEL:BxT or decode or memory. -1 with the line in err. */
int workloads_add(struct workloads *w, const char *name, struct error *err);
void workloads_add_default(struct workloads *w);
void workloads_add_all(struct workloads *w);
/* The training workloads whose memory `memory` compares. */
void workloads_add_memory(struct workloads *w);
/* The names of the models, for --help. */
const char *workload_models(void);

/* --- what is found --- */

enum { MEMORY_LEVELS = 7 };

struct machine {
    char cpu[128], unit[32], bf16_unit[32];
    char products[256]; /* the library that gemm chose, and why */
    int threads;
    double float32_peak, bf16_peak; /* FLOP/s of all threads; 0: none */
    bool bf16_native;               /* the products of this precision run on bf16 instructions */
    double copy, read;              /* bytes/s, far outside the caches */
    size_t level_bytes[MEMORY_LEVELS];
    double level_rate[MEMORY_LEVELS]; /* the faster of both over so many bytes in all */
};

struct timing {
    size_t runs;
    double median, q1, q3, min, max; /* seconds */
    double waited; /* share of their time that the threads waited for a core; NAN: not known */
};

struct step_result {
    struct timing time;
    double float32_peak; /* measured again after the steps */
    double flops;        /* of one step */
    size_t n_parameters;
};

enum { PRODUCTS_MAX = 15 };

struct product_result {
    char name[32];
    const char *pass; /* "forward", "dx" or "dW" */
    struct bench_shape shape;
    double rate[GEMM_BACKENDS]; /* FLOP/s, the median; 0 where that library is not available */
};

struct products_result {
    size_t count;
    struct product_result list[PRODUCTS_MAX];
};

enum { OPERATIONS_MAX = 32 };

struct operation_result {
    char name[40];
    size_t times;        /* in a step */
    double time;         /* of one, the median */
    double flops, bytes; /* of one; flops 0 where there is no product */
    double bound;        /* seconds that flops and bytes alone would take */
};

struct operations_result {
    size_t count;
    struct operation_result list[OPERATIONS_MAX];
};

struct decode_result {
    size_t prompt;      /* tokens before the first that is timed */
    double prefill;     /* tokens/s where 64 come in one call */
    struct timing time; /* of one token */
    double bytes;       /* that a token reads: weights, keys and values */
    size_t n_parameters;
};

struct bench {
    const struct bench_code *code;
    struct machine machine;
    enum recompute recompute;
    size_t runs; /* 0: by the time that they take */
    bool json;
};

/* What a child process works on. */
struct bench_job {
    const struct bench *bench;
    const struct workload *workload; /* NULL: the machine itself */
};

/* The most FLOP/s that products of this precision could reach. */
double precision_peak(const struct bench *b);
/* The most bytes/s for work over so many bytes, by the cache that holds them. */
double bandwidth_for(const struct machine *m, double bytes);

/* Each measures in a child process. peak_memory (bytes, NULL for no interest) is the child's. */
int measure_machine(struct bench *b, struct error *err);
int measure_steps(const struct bench *b, const struct workload *w, struct step_result *r,
                  double *peak_memory, struct error *err);
int measure_products(const struct bench *b, const struct workload *w, struct products_result *r,
                     struct error *err);
int measure_operations(const struct bench *b, const struct workload *w, struct operations_result *r,
                       struct error *err);
int measure_decode(const struct bench *b, const struct workload *w, struct decode_result *r,
                   double *peak_memory, struct error *err);
/* Allocates as for the whole batch and takes one short step. */
int measure_memory(const struct bench *b, const struct workload *w, double *peak_memory,
                   struct error *err);

/* --- how --- */

/* Runs work(job, result, err) in a child process and brings back its result, of `size` bytes. `what` is for those who watch. */
typedef int bench_work(const struct bench_job *job, void *result, struct error *err);
int bench_child(bench_work *work, const struct bench_job *job, const char *what, void *result,
                size_t size, double *peak_memory, struct error *err);

/* Times of f(context): one that does not count, then `runs`, or for 0 as many as fit into `budget` seconds, three at least unless
 * they take much longer. */
struct timing time_runs(void (*f)(void *), void *context, size_t runs, double budget);

/* --- what is printed: text, or an object a line --- */

/* On a terminal, what is being measured; NULL wipes that out. */
void report_progress(const struct bench_job *job, const char *what);
void report_machine(const struct bench *b);
void report_steps(const struct bench *b, const struct workload *w, const struct step_result *r,
                  double peak_memory);
void report_products(const struct bench *b, const struct workload *w,
                     const struct products_result *r);
void report_operations(const struct bench *b, const struct workload *w,
                       const struct operations_result *r, double step);
void report_decode(const struct bench *b, const struct workload *w, const struct decode_result *r,
                   double peak_memory);
void report_memory(const struct bench *b, const struct workload *w, double peak_memory,
                   bool heading);

#endif
