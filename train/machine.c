/* machine.c: see machine.h. */
#include "train/machine.h"
#include "data/shard.h"
#include "data/split.h"
#include "model/gemm/gemm_backend.h"
#include <limits.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

void machine_cpu(char *name, size_t size, const char *otherwise)
{
    char line[512];
    snprintf(name, size, "%s", otherwise);
    FILE *f = fopen("/proc/cpuinfo", "re");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
            const char *begin = strchr(line, ':') + 1;
            begin += strspn(begin, " \t");
            snprintf(name, size, "%.*s", (int)strcspn(begin, "\n"), begin);
            break;
        }
    if (f)
        fclose(f);
}

cJSON *machine_json(double peak_flops, bool bf16)
{
    struct utsname system = {.sysname = "unknown"};
    char cpu[256], text[256];
    const char *why;
    (void)uname(&system);
    machine_cpu(cpu, sizeof cpu, system.machine);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "cpu", cpu);
    cJSON_AddNumberToObject(object, "cores", sysconf(_SC_NPROCESSORS_ONLN));
    cJSON_AddNumberToObject(object, "threads", omp_get_max_threads());
    cJSON_AddNumberToObject(object, "memory",
                            (double)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
    cJSON_AddNumberToObject(object, "peak_flops", peak_flops);
    const enum gemm_backend backend = gemm_backend_choice(bf16, &why);
    snprintf(text, sizeof text, "%s (%s)", gemm_backend_name(backend), why);
    cJSON_AddStringToObject(object, "products", text);
#ifdef __clang__
    cJSON_AddStringToObject(object, "compiler", __VERSION__);
#else
    cJSON_AddStringToObject(object, "compiler", "GCC " __VERSION__);
#endif
    snprintf(text, sizeof text, "%.60s %.60s %.60s", system.sysname, system.release,
             system.machine);
    cJSON_AddStringToObject(object, "system", text);
    return object;
}

static void add_split(cJSON *object, const char *dir, const char *split, const char *name)
{
    struct error ignored;
    struct split *s = split_exists(dir, split) ? split_open(dir, split, &ignored) : NULL;
    if (!s)
        return;
    cJSON_AddNumberToObject(object, name, s->tokens);
    if (!strcmp(split, "train"))
        cJSON_AddStringToObject(object, "fingerprint", s->fingerprint);
    split_close(s);
}

cJSON *data_json(const char *dir)
{
    char path[PATH_MAX];
    struct error ignored;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "dir", dir);
    add_split(object, dir, "train", "train_tokens");
    add_split(object, dir, "val", "val_tokens");
    struct shard *shard =
        shard_path(path, dir, "train", 0, &ignored) ? NULL : shard_open(path, 0, &ignored);
    if (!shard)
        return object;
    const struct shard_info *info = shard_get_info(shard);
    cJSON_AddStringToObject(object, "tokenizer", info->tokenizer_kind);
    cJSON_AddNumberToObject(object, "vocab_size", info->vocab_size);
    cJSON_AddItemToObject(object, "sources", cJSON_Parse(info->sources));
    shard_close(shard);
    return object;
}
