/* bench_report.c: what `handgrad bench` prints: tables for people, or with --json an object a line. docs/benchmark.md says what
 * each column means. */
#include "train/bench/bench.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

static cJSON *object(const char *kind)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "kind", kind);
    return o;
}

static void print_object(cJSON *o)
{
    char *text = cJSON_PrintUnformatted(o);
    puts(text ? text : "{\"error\": \"out of memory\"}");
    cJSON_free(text);
    cJSON_Delete(o);
    fflush(stdout);
}

/* null where there is none. */
static void add_or_null(cJSON *o, const char *name, double x)
{
    if (x > 0)
        cJSON_AddNumberToObject(o, name, x);
    else
        cJSON_AddNullToObject(o, name);
}

static void add_timing(cJSON *o, const struct timing *t)
{
    cJSON_AddNumberToObject(o, "runs", (double)t->runs);
    cJSON_AddNumberToObject(o, "median_s", t->median);
    cJSON_AddNumberToObject(o, "q1_s", t->q1);
    cJSON_AddNumberToObject(o, "q3_s", t->q3);
    cJSON_AddNumberToObject(o, "min_s", t->min);
    cJSON_AddNumberToObject(o, "max_s", t->max);
    cJSON_AddNumberToObject(o, "waited", t->waited); /* null where it is not known */
}

static double spread(const struct timing *t)
{
    return (t->q3 - t->q1) / t->median;
}

/* A figure from a machine that did other things is not the machine's: one line says so. */
static void warn_if_noisy(const char *name, const struct timing *t)
{
    const bool waited = t->waited > 0.02, spreads = t->runs >= 4 && spread(t) > 0.1;
    if (waited)
        fprintf(stderr,
                "handgrad: %s: other programs were running: its threads waited for a core %.0f %% "
                "of the time\n",
                name, 100 * t->waited);
    else if (spreads)
        fprintf(stderr,
                "handgrad: %s: the machine is noisy: the middle half of the runs spreads over %.0f "
                "%% of the median\n",
                name, 100 * spread(t));
}

void report_progress(const struct bench_job *job, const char *what)
{
    if (!isatty(STDERR_FILENO))
        return;
    if (what)
        fprintf(stderr, "%s: %s …", job->workload ? job->workload->name : "the machine", what);
    else
        fputs("\r\033[K", stderr);
}

/* "1.23 s", "12.3 ms", "4.5 us" */
static const char *time_text(char text[16], double s)
{
    if (s >= 1)
        snprintf(text, 16, "%.2f s", s);
    else if (s >= 1e-3)
        snprintf(text, 16, "%.*f ms", s >= 0.1 ? 0 : s >= 1e-2 ? 1 : 2, 1e3 * s);
    else
        snprintf(text, 16, "%.1f us", 1e6 * s);
    return text;
}

/* --- the machine --- */

/* Variables that decide how products and threads behave. */
static bool is_ours(const char *variable)
{
    static const char *const prefixes[] = {"OPENBLAS_", "OMP_",  "GOMP_",   "KMP_",       "DNNL_",
                                           "ONEDNN_",   "GOTO_", "MALLOC_", "LD_PRELOAD="};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (!strncmp(variable, prefixes[i], strlen(prefixes[i])))
            return true;
    return false;
}

static void machine_json(const struct machine *m)
{
    cJSON *o = object("machine"), *levels, *variables;
    cJSON_AddStringToObject(o, "cpu", m->cpu);
    cJSON_AddNumberToObject(o, "threads", m->threads);
    cJSON_AddStringToObject(o, "vectors", m->unit);
    cJSON_AddNumberToObject(o, "float32_peak", m->float32_peak);
    add_or_null(o, "bf16_peak", m->bf16_peak);
    if (m->bf16_unit[0])
        cJSON_AddStringToObject(o, "bf16_unit", m->bf16_unit);
    else
        cJSON_AddNullToObject(o, "bf16_unit");
    cJSON_AddNumberToObject(o, "copy_bandwidth", m->copy);
    cJSON_AddNumberToObject(o, "read_bandwidth", m->read);
    levels = cJSON_AddArrayToObject(o, "bandwidth_by_size");
    for (int i = 0; i < MEMORY_LEVELS; i++) {
        cJSON *level = cJSON_CreateObject();
        cJSON_AddNumberToObject(level, "bytes", (double)m->level_bytes[i]);
        cJSON_AddNumberToObject(level, "bandwidth", m->level_rate[i]);
        cJSON_AddItemToArray(levels, level);
    }
    cJSON_AddStringToObject(o, "products", m->products);
    variables = cJSON_AddObjectToObject(o, "environment");
    for (char **v = environ; *v; v++) {
        char name[64];
        const size_t length = strcspn(*v, "=");
        if (is_ours(*v) && length < sizeof name && (*v)[length]) {
            snprintf(name, sizeof name, "%.*s", (int)length, *v);
            cJSON_AddStringToObject(variables, name, *v + length + 1);
        }
    }
    print_object(o);
}

void report_machine(const struct bench *b)
{
    const struct machine *m = &b->machine;
    if (b->json) {
        machine_json(m);
        return;
    }
    printf("%s, %d threads, %s\n", m->cpu, m->threads, m->unit);
    printf("  float32 peak   %8.1f GFLOP/s\n  bf16 peak      ", m->float32_peak / 1e9);
    if (m->bf16_peak > 0)
        printf("%8.1f GFLOP/s, %s\n", m->bf16_peak / 1e9, m->bf16_unit);
    else
        printf("    none (neither AMX nor AVX512_BF16)\n");
    printf("  copy           %8.1f GB/s\n  read           %8.1f GB/s\n", m->copy / 1e9,
           m->read / 1e9);
    printf("  by size        ");
    for (int i = 0; i < MEMORY_LEVELS - 1; i++)
        printf("%s%.0f GB/s at %g MiB", i ? ", " : "", m->level_rate[i] / 1e9,
               (double)m->level_bytes[i] / 0x1p20);
    printf("\n  products run on %s\n  environment    ", m->products);
    bool any = false;
    for (char **v = environ; *v; v++)
        if (is_ours(*v))
            any = printf("%s%s", any ? " " : "", *v) > 0;
    printf("%s\n", any ? "" : "OPENBLAS_* and OMP_* are not set");
    fflush(stdout);
}

/* --- workloads --- */

static void steps_json(const struct bench *b, const struct workload *w, const struct step_result *r,
                       double peak, double memory)
{
    const double rate = r->flops / r->time.median;
    cJSON *o = object("workload");
    cJSON_AddStringToObject(o, "workload", w->name);
    cJSON_AddStringToObject(o, "precision", b->code->precision);
    cJSON_AddNumberToObject(o, "n_parameters", (double)r->n_parameters);
    cJSON_AddNumberToObject(o, "tokens", (double)(w->B * w->T));
    add_timing(o, &r->time);
    cJSON_AddNumberToObject(o, "tokens_per_s", (double)(w->B * w->T) / r->time.median);
    cJSON_AddNumberToObject(o, "flops", r->flops);
    cJSON_AddNumberToObject(o, "flops_per_s", rate);
    cJSON_AddNumberToObject(o, "float32_share", rate / peak);
    add_or_null(o, "bf16_share", b->machine.bf16_peak > 0 ? rate / b->machine.bf16_peak : 0);
    cJSON_AddStringToObject(o, "recompute", recompute_names[b->recompute]);
    cJSON_AddNumberToObject(o, "peak_memory", memory);
    print_object(o);
}

void report_steps(const struct bench *b, const struct workload *w, const struct step_result *r,
                  double memory)
{
    char median[16], min[16], q1[16], q3[16], max[16];
    const struct timing *t = &r->time;
    const double before = b->machine.float32_peak, peak = fmax(before, r->float32_peak),
                 rate = r->flops / t->median;
    warn_if_noisy(w->name, t);
    if (fabs(before - r->float32_peak) > 0.1 * peak)
        fprintf(stderr,
                "handgrad: %s: the float32 peak was %.0f GFLOP/s at first and %.0f after its "
                "steps: shares are of the larger\n",
                w->name, before / 1e9, r->float32_peak / 1e9);
    if (b->json) {
        steps_json(b, w, r, peak, memory);
        return;
    }
    printf("\n%s in %s: %.1f M parameters, %zu tokens a step\n", w->name, b->code->precision,
           (double)r->n_parameters / 1e6, w->B * w->T);
    printf("  step           %s, median of %zu (min %s, quartiles %s and %s, max %s)\n",
           time_text(median, t->median), t->runs, time_text(min, t->min), time_text(q1, t->q1),
           time_text(q3, t->q3), time_text(max, t->max));
    printf("  tokens/s       %.0f\n", (double)(w->B * w->T) / t->median);
    printf("  model FLOP/s   %.1f GFLOP/s: %.2f of the float32 peak", rate / 1e9, rate / peak);
    if (b->machine.bf16_peak > 0)
        printf(", %.2f of the bf16 peak", rate / b->machine.bf16_peak);
    printf("\n  peak memory    %.2f GB, recompute = %s\n", memory / 1e9,
           recompute_names[b->recompute]);
    fflush(stdout);
}

static void product_json(const struct bench *b, const struct workload *w,
                         const struct product_result *p, enum gemm_backend library)
{
    cJSON *o = object("product");
    cJSON_AddStringToObject(o, "workload", w->name);
    cJSON_AddStringToObject(o, "product", p->name);
    cJSON_AddStringToObject(o, "pass", p->pass);
    cJSON_AddStringToObject(o, "library", gemm_backend_name(library));
    cJSON_AddStringToObject(o, "precision", b->code->precision);
    cJSON_AddNumberToObject(o, "M", (double)p->shape.M);
    cJSON_AddNumberToObject(o, "N", (double)p->shape.N);
    cJSON_AddNumberToObject(o, "K", (double)p->shape.K);
    cJSON_AddNumberToObject(o, "flops_per_s", p->rate[library]);
    cJSON_AddNumberToObject(o, "share", p->rate[library] / precision_peak(b));
    print_object(o);
}

void report_products(const struct bench *b, const struct workload *w,
                     const struct products_result *r)
{
    const double peak = precision_peak(b);
    if (!b->json) {
        printf("\n  %-20s %7s %7s %7s", "product, GFLOP/s", "M", "N", "K");
        for (enum gemm_backend k = 0; k < GEMM_BACKENDS; k++)
            if (r->list[0].rate[k] > 0)
                printf("  %9s of peak", gemm_backend_name(k));
        putchar('\n');
    }
    for (size_t i = 0; i < r->count; i++) {
        const struct product_result *p = &r->list[i];
        if (!b->json)
            printf("  %-12s %-7s %7zu %7zu %7zu", p->name, p->pass, p->shape.M, p->shape.N,
                   p->shape.K);
        for (enum gemm_backend k = 0; k < GEMM_BACKENDS; k++) {
            if (p->rate[k] > 0 && b->json)
                product_json(b, w, p, k);
            else if (p->rate[k] > 0)
                printf("  %9.1f    %4.2f", p->rate[k] / 1e9, p->rate[k] / peak);
        }
        if (!b->json)
            putchar('\n');
    }
    fflush(stdout);
}

static void operation_json(const struct workload *w, const struct operation_result *o, double step)
{
    cJSON *x = object("operation");
    cJSON_AddStringToObject(x, "workload", w->name);
    cJSON_AddStringToObject(x, "operation", o->name);
    cJSON_AddNumberToObject(x, "times", (double)o->times);
    cJSON_AddNumberToObject(x, "median_s", o->time);
    cJSON_AddNumberToObject(x, "step_share", o->time * (double)o->times / step);
    cJSON_AddNumberToObject(x, "flops", o->flops);
    cJSON_AddNumberToObject(x, "bytes", o->bytes);
    cJSON_AddNumberToObject(x, "roofline_share", o->bound / o->time);
    print_object(x);
}

static void operation_row(const struct operation_result *o, double step)
{
    const double all = o->time * (double)o->times;
    printf("  %-22s %6zu %10.3f %8.1f", o->name, o->times, 1e3 * all, 100 * all / step);
    if (o->flops > 0)
        printf(" %9.1f", o->flops / o->time / 1e9);
    else
        printf(" %9s", "");
    printf(" %8.1f %8.2f\n", o->bytes / o->time / 1e9, o->bound / o->time);
}

void report_operations(const struct bench *b, const struct workload *w,
                       const struct operations_result *r, double step)
{
    double sum = 0, bound = 0;
    if (!b->json)
        printf("\n  %-22s %6s %10s %8s %9s %8s %8s\n", "operation, alone", "times", "ms", "% step",
               "GFLOP/s", "GB/s", "of bound");
    for (size_t i = 0; i < r->count; i++) {
        const struct operation_result *o = &r->list[i];
        sum += o->time * (double)o->times;
        bound += o->bound * (double)o->times;
        if (b->json)
            operation_json(w, o, step);
        else
            operation_row(o, step);
    }
    if (!b->json) {
        printf("  %-22s %6s %10.3f %8.1f %9s %8s %8.2f\n", "all of these", "", 1e3 * sum,
               100 * sum / step, "", "", bound / sum);
        printf("  %-22s %6s %10.3f %8.1f\n", "the rest of a step", "", 1e3 * (step - sum),
               100 * (1 - sum / step));
    }
    fflush(stdout);
}

void report_decode(const struct bench *b, const struct workload *w, const struct decode_result *r,
                   double memory)
{
    const double rate = r->bytes / r->time.median;
    warn_if_noisy(w->name, &r->time);
    if (b->json) {
        cJSON *o = object("decode");
        cJSON_AddStringToObject(o, "workload", w->name);
        cJSON_AddStringToObject(o, "precision", b->code->precision);
        cJSON_AddNumberToObject(o, "n_parameters", (double)r->n_parameters);
        cJSON_AddNumberToObject(o, "prompt", (double)r->prompt);
        add_timing(o, &r->time);
        cJSON_AddNumberToObject(o, "texts", (double)w->B);
        cJSON_AddNumberToObject(o, "tokens_per_s", (double)w->B / r->time.median);
        cJSON_AddNumberToObject(o, "prefill_tokens_per_s", r->prefill);
        cJSON_AddNumberToObject(o, "bytes", r->bytes);
        cJSON_AddNumberToObject(o, "bandwidth", rate);
        cJSON_AddNumberToObject(o, "copy_share", rate / b->machine.copy);
        cJSON_AddNumberToObject(o, "read_share", rate / b->machine.read);
        cJSON_AddNumberToObject(o, "peak_memory", memory);
        print_object(o);
        return;
    }
    char median[16], min[16], max[16];
    printf("\n%s in %s: one token at a time of %zu text%s, %.1f M parameters, after %zu tokens\n",
           w->name, b->code->precision, w->B, w->B > 1 ? "s" : "", (double)r->n_parameters / 1e6,
           r->prompt);
    printf("  pass           %s, median of %zu (min %s, max %s)\n",
           time_text(median, r->time.median), r->time.runs, time_text(min, r->time.min),
           time_text(max, r->time.max));
    printf("  tokens/s       %.1f; %.0f where a prompt comes in one call\n",
           (double)w->B / r->time.median, r->prefill);
    printf("  bandwidth      %.1f GB/s: %.2f of reading, %.2f of copying\n", rate / 1e9,
           rate / b->machine.read, rate / b->machine.copy);
    printf("  peak memory    %.2f GB\n", memory / 1e9);
    fflush(stdout);
}

void report_memory(const struct bench *b, const struct workload *w, double memory, bool heading)
{
    const double tokens = (double)(w->B * w->T);
    if (b->json) {
        cJSON *o = object("memory");
        cJSON_AddStringToObject(o, "workload", w->name);
        cJSON_AddStringToObject(o, "precision", b->code->precision);
        cJSON_AddStringToObject(o, "recompute", recompute_names[b->recompute]);
        cJSON_AddNumberToObject(o, "tokens", tokens);
        cJSON_AddNumberToObject(o, "peak_memory", memory);
        print_object(o);
        return;
    }
    if (heading)
        printf("\nmemory in %s, recompute = %s\n  %-20s %10s %12s\n", b->code->precision,
               recompute_names[b->recompute], "workload", "tokens", "peak, GB");
    printf("  %-20s %10.0f %12.2f\n", w->name, tokens, memory / 1e9);
    fflush(stdout);
}
