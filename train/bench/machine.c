/* machine.c: the peaks of the processor and the bandwidth of each level of memory. */
#include "train/machine.h"
#include "base/memory.h"
#include "train/bench/bench.h"
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

struct peak best_peak(struct peak (*measure)(void))
{
    enum { MEASUREMENTS = 5, PAUSE = 100000 }; /* microseconds */
    struct peak best = measure();
    for (int i = 1; i < MEASUREMENTS && best.unit; i++) {
        usleep(PAUSE);
        best.flops = fmax(best.flops, measure().flops);
    }
    return best;
}

static void measure_levels(struct machine *m)
{
    /* A gibibyte, or more if the last cache is large, less if memory is short. */
    const double cache = sysconf(_SC_LEVEL3_CACHE_SIZE),
                 bytes = fmin(fmax(8 * cache, 0x1p30), memory_available() / 4);
    const size_t uncached = (size_t)bytes / 4096 * 4096;
    m->copy = copy_bandwidth(uncached);
    m->read = read_bandwidth(uncached);
    double fastest = fmax(m->copy, m->read);
    m->level_bytes[MEMORY_LEVELS - 1] = uncached;
    m->level_rate[MEMORY_LEVELS - 1] = fastest;
    /* 256 MiB … 256 KiB; none counts as slower than the next larger one. */
    for (int i = MEMORY_LEVELS - 1; i-- > 0;) {
        m->level_bytes[i] = (size_t)1 << (18 + 2 * i);
        fastest = fmax(fastest,
                       fmax(copy_bandwidth(m->level_bytes[i]), read_bandwidth(m->level_bytes[i])));
        m->level_rate[i] = fastest;
    }
}

/* The variables that decide how libraries and threads behave. */
static cJSON *environment(void)
{
    static const char *const prefixes[] = {"OPENBLAS_", "OMP_",  "GOMP_",   "KMP_",       "DNNL_",
                                           "ONEDNN_",   "GOTO_", "MALLOC_", "LD_PRELOAD="};
    cJSON *o = cJSON_CreateObject();
    for (char **v = environ; *v; v++)
        for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
            char name[64];
            const char *value = strchr(*v, '=');
            if (!value || strncmp(*v, prefixes[i], strlen(prefixes[i])))
                continue;
            snprintf(name, sizeof name, "%.*s", (int)(value - *v), *v);
            cJSON_AddStringToObject(o, name, value + 1);
        }
    return o;
}

static void print_json(const struct bench *b, cJSON *variables)
{
    const struct machine *m = &b->machine;
    cJSON *o = report_object(
        b, "machine",
        FIELDS(TEXT("cpu", m->cpu), NUMBER("threads", omp_get_max_threads()),
               TEXT("vectors", m->float32.unit), NUMBER("float32_peak", m->float32.flops),
               NUMBER("bf16_peak", m->bf16.unit ? m->bf16.flops : NAN),
               TEXT("bf16_unit", m->bf16.unit), NUMBER("copy_bandwidth", m->copy),
               NUMBER("read_bandwidth", m->read)));
    cJSON *levels = cJSON_AddArrayToObject(o, "bandwidth_by_size");
    for (int i = 0; i < MEMORY_LEVELS; i++) {
        const struct field *level =
            FIELDS(NUMBER("bytes", m->level_bytes[i]), NUMBER("bandwidth", m->level_rate[i]));
        cJSON_AddItemToArray(levels, json_add(NULL, level));
    }
    cJSON_AddStringToObject(o, "products", m->products);
    cJSON_AddItemToObject(o, "environment", variables);
    json_print(o);
}

static void print_text(const struct bench *b, cJSON *variables)
{
    const struct machine *m = &b->machine;
    const cJSON *v;
    printf("%s, %d threads, %s\n", m->cpu, omp_get_max_threads(), m->float32.unit);
    printf("  float32 peak   %8.1f GFLOP/s\n  bf16 peak      ", m->float32.flops / 1e9);
    if (m->bf16.unit)
        printf("%8.1f GFLOP/s, %s\n", m->bf16.flops / 1e9, m->bf16.unit);
    else
        printf("    none (neither AMX nor AVX512_BF16)\n");
    printf("  copy           %8.1f GB/s\n  read           %8.1f GB/s\n  by size       ",
           m->copy / 1e9, m->read / 1e9);
    for (int i = 0; i < MEMORY_LEVELS - 1; i++)
        printf("%s %.0f GB/s at %g MiB", i ? "," : "", m->level_rate[i] / 1e9,
               m->level_bytes[i] / 0x1p20);
    printf("\n  products run on %s\n  environment   ", m->products);
    cJSON_ArrayForEach(v, variables) printf(" %s=%s", v->string, v->valuestring);
    puts(variables->child ? "" : " OPENBLAS_* and OMP_* are not set");
    cJSON_Delete(variables);
}

int measure_machine(struct bench *b)
{
    struct machine *m = &b->machine;
    const char *reason;
    const enum gemm_backend library = gemm_backend_choice(b->precision->bf16, &reason);
    machine_cpu(m->cpu, sizeof m->cpu, "unknown CPU");
    snprintf(m->products, sizeof m->products, "%s: %s", gemm_backend_name(library), reason);
    m->float32 = best_peak(float32_peak);
    m->bf16 = best_peak(bf16_peak);
    m->precision_peak = (library == GEMM_ONEDNN_BF16 && m->bf16.unit ? m->bf16 : m->float32).flops;
    measure_levels(m);
    if (!(m->copy > 0 && m->read > 0))
        return fail(&b->err, "not enough memory to copy %zu MiB",
                    m->level_bytes[MEMORY_LEVELS - 1] >> 20);
    (b->json ? print_json : print_text)(b, environment());
    return 0;
}
