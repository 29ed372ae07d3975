/* workloads.c: the workloads of `handgrad bench` by name. No model has dropout. */
#include "train/bench/bench.h"
#include <stdio.h>
#include <string.h>

#define GPT(L, H, C, T, V, ...)                                                                    \
    {                                                                                              \
        .n_layer = L, .n_head = H, .n_embd = C, .block_size = T, .vocab_size = V,                  \
        .padded_vocab_size = V, __VA_ARGS__                                                        \
    }

static const struct {
    const char *name;
    size_t B, T; /* if the workload's name does not give them */
    struct model_config config;
} models[] = {
    /* configs/shakespeare-char-cpu.ini, shakespeare-char.ini, gpt2-124m.ini; for quick tests */
    {"char-0.8M", 12, 64, GPT(4, 4, 128, 64, 65, .gelu = GELU_ERF)},
    {"char-10.7M", 64, 256, GPT(6, 6, 384, 256, 65, .gelu = GELU_ERF)},
    {"gpt2-124m", 4, 64, GPT(12, 12, 768, 1024, 50257, .gelu = GELU_TANH, .bias = true)},
    {"tiny", 2, 16, GPT(2, 2, 32, 16, 65, .gelu = GELU_TANH, .bias = true)},
};

static const char *const sets[][13] = {
    [WORKLOADS_DEFAULT] = {"char-0.8M", "gpt2-124m", "decode"},
    [WORKLOADS_ALL] = {"char-0.8M", "char-10.7M", "gpt2-124m:4x64", "gpt2-124m:4x1024",
                       "gpt2-124m:1x1024", "gpt2-124m:1x2048", "gpt2-124m:1x4096",
                       "gpt2-124m:1x8192", "gpt2-124m:1x16384", "decode", "decode:8", "memory"},
    [WORKLOADS_MEMORY] = {"char-0.8M", "char-10.7M", "gpt2-124m:4x64", "gpt2-124m:4x1024",
                          "gpt2-124m:1x1024", "gpt2-124m:1x4096", "gpt2-124m:1x16384"}};

/* "4x64", both at least 1 and below 10^9. */
static int read_batch(const char *text, size_t *B, size_t *T)
{
    int end = 0;
    return strspn(text, "0123456789x") == strlen(text) &&
                   sscanf(text, "%9zux%9zu%n", B, T, &end) == 2 && !text[end] && *B && *T
               ? 0
               : -1;
}

static int find_model(struct workload *w, const char *name, struct error *err)
{
    const size_t length = strcspn(name, ":");
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        const char *model = models[i].name;
        if (strlen(model) != length || strncmp(model, name, length))
            continue;
        *w = (struct workload){.B = models[i].B, .T = models[i].T};
        if (name[length] && read_batch(name + length + 1, &w->B, &w->T))
            return fail(err, "'%s': expected %s:BxT, B sequences of T tokens, as in %s:4x64", name,
                        model, model);
        w->config = models[i].config;
        if (w->config.block_size < w->T)
            w->config.block_size = w->T;
        snprintf(w->name, sizeof w->name, "%s:%zux%zu", model, w->B, w->T);
        return 0;
    }
    return fail(err,
                "unknown workload '%s': expected decode, memory or a model, which is char-0.8M, "
                "char-10.7M, gpt2-124m or tiny",
                name);
}

/* "decode", or "decode:8" for eight texts at a time. */
static int find_decode(struct workload *w, const char *name, struct error *err)
{
    int end = 0;
    find_model(w, "gpt2-124m", err);
    w->kind = WORKLOAD_DECODE;
    w->B = 1;
    snprintf(w->name, sizeof w->name, "%.32s", name);
    if (name[6] && (name[7] < '1' || name[7] > '9' ||
                    sscanf(name + 7, "%4zu%n", &w->B, &end) != 1 || name[7 + end]))
        return fail(err, "'%s': expected decode:N, N texts at a time, from 1 to 9999", name);
    return 0;
}

int workloads_add(struct workloads *w, const char *name, struct error *err)
{
    if (!strcmp(name, "memory"))
        return workloads_add_set(w, WORKLOADS_MEMORY, err);
    if (w->count == WORKLOADS_MAX)
        return fail(err, "'%s': more than %d workloads", name, WORKLOADS_MAX);
    struct workload *new = &w->list[w->count];
    const bool decode = !strncmp(name, "decode", 6) && (!name[6] || name[6] == ':');
    if ((decode ? find_decode : find_model)(new, name, err))
        return -1;
    w->count++;
    return 0;
}

int workloads_add_set(struct workloads *w, enum workload_set set, struct error *err)
{
    for (const char *const *name = sets[set]; *name; name++) {
        if (workloads_add(w, *name, err))
            return -1;
        if (set == WORKLOADS_MEMORY)
            w->list[w->count - 1].kind = WORKLOAD_MEMORY;
    }
    return 0;
}
