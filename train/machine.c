/* machine.c: see machine.h. */
#include "train/machine.h"
#include "data/shard.h"
#include "data/split.h"
#include "model/gemm/gemm_backend.h"
#include "train/json.h"
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

#ifdef __clang__
#define COMPILER __VERSION__
#else
#define COMPILER "GCC " __VERSION__
#endif

cJSON *machine_json(double peak_flops, bool bf16)
{
    struct utsname system = {.sysname = "unknown"};
    char cpu[256], products[256], text[256];
    const char *why;
    uname(&system);
    machine_cpu(cpu, sizeof cpu, system.machine);
    const enum gemm_backend backend = gemm_backend_choice(bf16, &why);
    snprintf(products, sizeof products, "%s (%s)", gemm_backend_name(backend), why);
    snprintf(text, sizeof text, "%.60s %.60s %.60s", system.sysname, system.release,
             system.machine);
    const double memory = (double)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    return json_add(NULL, FIELDS(TEXT("cpu", cpu), NUMBER("cores", sysconf(_SC_NPROCESSORS_ONLN)),
                                 NUMBER("threads", omp_get_max_threads()), NUMBER("memory", memory),
                                 NUMBER("peak_flops", peak_flops), TEXT("products", products),
                                 TEXT("compiler", COMPILER), TEXT("system", text)));
}

static void add_split(cJSON *object, const char *dir, const char *split, const char *name)
{
    struct split *s = split_exists(dir, split) ? split_open(dir, split, NULL) : NULL;
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
    cJSON *object = json_add(NULL, FIELDS(TEXT("dir", dir)));
    add_split(object, dir, "train", "train_tokens");
    add_split(object, dir, "val", "val_tokens");
    struct shard *shard =
        shard_path(path, dir, "train", 0, NULL) ? NULL : shard_open(path, 0, NULL);
    if (!shard)
        return object;
    const struct shard_info *info = shard_get_info(shard);
    json_add(object, FIELDS(TEXT("tokenizer", info->tokenizer_kind),
                            NUMBER("vocab_size", info->vocab_size)));
    cJSON_AddItemToObject(object, "sources", cJSON_Parse(info->sources));
    shard_close(shard);
    return object;
}
