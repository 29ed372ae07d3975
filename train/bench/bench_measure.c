/* bench_measure.c: what `handgrad bench` finds out about the machine, whole steps, decoding and memory. Everything here
 * but the outermost functions runs in a child process. */
#include "base/clock.h"
#include "base/memory.h"
#include "train/bench/bench.h"
#include "train/machine.h"
#include "train/peak.h"
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEP_BUDGET = 6, PROMPT = 64, DECODE_TOKENS = 64 };

double precision_peak(const struct bench *b)
{
    return b->machine.bf16_native && b->machine.bf16_peak > 0 ? b->machine.bf16_peak
                                                              : b->machine.float32_peak;
}

/* --- the machine --- */

/* Bytes that no cache holds: a gibibyte, more where the last cache is large, less where little memory is free. */
static size_t far_bytes(void)
{
    const long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    const double least = 0x1p30, most = (double)memory_available() / 4,
                 wanted = 8 * (double)cache > least ? 8 * (double)cache : least;
    return (size_t)(wanted < most ? wanted : most) / 4096 * 4096;
}

/* The best of a few moments. Where the processor's other hardware thread is somebody else's, a core is half as fast for tenths of a second at
 * a time, and shares of such a peak would be too good. */
static double best(double (*peak)(void))
{
    enum { MOMENTS = 5, APART = 100000 }; /* microseconds */
    double most = peak();
    for (int i = 1; i < MOMENTS && most > 0; i++) {
        usleep(APART);
        most = fmax(most, peak());
    }
    return most;
}

static int machine_work(const struct bench_job *j, void *result, struct error *err)
{
    struct machine *m = result;
    const char *why;
    const bool bf16 = !strcmp(j->bench->code->precision, "bf16");
    *m = (struct machine){.threads = omp_get_max_threads(),
                          .float32_peak = best(float32_peak),
                          .bf16_peak = best(bf16_peak)};
    machine_cpu(m->cpu, sizeof m->cpu, "unknown CPU");
    snprintf(m->unit, sizeof m->unit, "%s", vector_unit());
    if (bf16_unit())
        snprintf(m->bf16_unit, sizeof m->bf16_unit, "%s", bf16_unit());
    const enum gemm_backend library = gemm_backend_choice(bf16, &why);
    snprintf(m->products, sizeof m->products, "%s: %s", gemm_backend_name(library), why);
    m->bf16_native = library == GEMM_ONEDNN_BF16;
    const size_t far = far_bytes();
    m->copy = copy_bandwidth(far);
    m->read = read_bandwidth(far);
    if (!(m->copy > 0 && m->read > 0))
        return fail(err, "no memory for %zu MiB to copy", far >> 20);
    double fastest = fmax(m->copy, m->read);
    m->level_bytes[MEMORY_LEVELS - 1] = far;
    m->level_rate[MEMORY_LEVELS - 1] = fastest;
    for (int i = MEMORY_LEVELS - 1;
         i-- > 0;) { /* 256 KiB, 1 MiB … 256 MiB; no level slower than one behind it */
        m->level_bytes[i] = (size_t)1 << (18 + 2 * i);
        fastest = fmax(fastest,
                       fmax(copy_bandwidth(m->level_bytes[i]), read_bandwidth(m->level_bytes[i])));
        m->level_rate[i] = fastest;
    }
    return 0;
}

int measure_machine(struct bench *b, struct error *err)
{
    return bench_child(machine_work, &(struct bench_job){b, NULL}, "peaks", &b->machine,
                       sizeof b->machine, NULL, err);
}

double bandwidth_for(const struct machine *m, double bytes)
{
    int level = 0;
    while (level + 1 < MEMORY_LEVELS && (double)m->level_bytes[level + 1] <= bytes)
        level++;
    return m->level_rate[level];
}

/* --- whole steps --- */

static int no_memory(const struct workload *w, struct error *err)
{
    return fail(err, "%s: no memory for it", w->name);
}

static int steps_work(const struct bench_job *j, void *result, struct error *err)
{
    const struct bench_code *code = j->bench->code;
    const struct workload *w = j->workload;
    struct step_result *r = result;
    void *trainee = code->create(&w->config, w->B, w->T, j->bench->recompute);
    if (!trainee)
        return no_memory(w, err);
    *r = (struct step_result){.flops = step_flops(&w->config, w->B, w->T),
                              .n_parameters = code->tensors(trainee)->n_parameters};
    r->time = time_runs(code->step, trainee, j->bench->runs, STEP_BUDGET);
    r->float32_peak = best(float32_peak);
    code->destroy(trainee);
    return 0;
}

int measure_steps(const struct bench *b, const struct workload *w, struct step_result *r,
                  double *peak_memory, struct error *err)
{
    return bench_child(steps_work, &(struct bench_job){b, w}, "steps", r, sizeof *r, peak_memory,
                       err);
}

static int memory_work(const struct bench_job *j, void *result, struct error *err)
{
    const struct bench_code *code = j->bench->code;
    const struct workload *w = j->workload;
    void *trainee = code->create(&w->config, w->B, w->T, j->bench->recompute);
    *(char *)result = 0;
    if (!trainee)
        return no_memory(w, err);
    code->short_step(trainee);
    code->destroy(trainee);
    return 0;
}

int measure_memory(const struct bench *b, const struct workload *w, double *peak_memory,
                   struct error *err)
{
    char nothing;
    return bench_child(memory_work, &(struct bench_job){b, w}, "memory", &nothing, sizeof nothing,
                       peak_memory, err);
}

/* --- decoding --- */

struct decode_run {
    const struct bench_code *code;
    void *writer;
    size_t n;
};

static void run_decode(void *context)
{
    const struct decode_run *d = context;
    d->code->writer_forward(d->writer, d->n);
}

/* Bytes that one more token of each text reads after `seen` of them: all weights but those of the positions and the symbols that it
 * is not, and the keys and values. */
static double decode_bytes(const struct bench_code *code, const struct model_config *c,
                           size_t texts, size_t n_parameters, double seen)
{
    const double C = (double)c->n_embd, weights = (double)n_parameters - C * (double)c->block_size;
    return (double)code->element * (weights + 2 * (double)texts * (double)c->n_layer * C * seen);
}

static int decode_work(const struct bench_job *j, void *result, struct error *err)
{
    const struct bench_code *code = j->bench->code;
    const struct model_config *c = &j->workload->config;
    struct decode_result *r = result;
    struct decode_run d = {code, code->writer_create(c, j->workload->B, PROMPT), PROMPT};
    if (!d.writer)
        return no_memory(j->workload, err);
    const size_t most = c->block_size - 2 * PROMPT - 1; /* one prompt warms up, one token too */
    run_decode(&d);
    *r = (struct decode_result){.prompt = 2 * PROMPT,
                                .n_parameters = code->writer_tensors(d.writer)->n_parameters};
    const double start = seconds();
    run_decode(&d);
    r->prefill = (double)j->workload->B * PROMPT / (seconds() - start);
    d.n = 1;
    const size_t runs = j->bench->runs ? j->bench->runs : DECODE_TOKENS;
    r->time = time_runs(run_decode, &d, runs < most ? runs : most, 0);
    r->bytes = decode_bytes(code, c, j->workload->B, r->n_parameters,
                            (double)r->prompt + 1 + (double)(r->time.runs + 1) / 2);
    code->writer_destroy(d.writer);
    return 0;
}

int measure_decode(const struct bench *b, const struct workload *w, struct decode_result *r,
                   double *peak_memory, struct error *err)
{
    return bench_child(decode_work, &(struct bench_job){b, w}, "tokens", r, sizeof *r, peak_memory,
                       err);
}
