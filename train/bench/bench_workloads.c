/* bench_workloads.c: the models that `handgrad bench` knows, and the names of what it does with them. Dropout is 0 throughout. */
#include "train/bench/bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t n_layer, n_head, n_embd, block_size, vocab_size;
    bool bias;
    enum gelu_kind gelu;
    size_t B, T; /* where the name says nothing else */
} models[] = {
    {"char-0.8M", 4, 4, 128, 64, 65, false, GELU_ERF, 12,
     64}, /* configs/shakespeare-char-cpu.ini */
    {"char-10.7M", 6, 6, 384, 256, 65, false, GELU_ERF, 64, 256}, /* configs/shakespeare-char.ini */
    {"gpt2-124m", 12, 12, 768, 1024, 50257, true, GELU_TANH, 4, 64}, /* configs/gpt2-124m.ini */
    {"tiny", 2, 2, 32, 16, 65, true, GELU_TANH, 2, 16},              /* to try the command out */
};
enum { MODELS = sizeof models / sizeof *models };

static const char *const standard[] = {"char-0.8M", "gpt2-124m", "decode"};
static const char *const all[] = {"char-0.8M",        "char-10.7M",       "gpt2-124m:4x64",
                                  "gpt2-124m:4x1024", "gpt2-124m:1x1024", "gpt2-124m:1x2048",
                                  "gpt2-124m:1x4096", "gpt2-124m:1x8192", "gpt2-124m:1x16384",
                                  "decode",           "decode:8",         "memory"};
static const char *const memory[] = {"char-0.8M",        "char-10.7M",       "gpt2-124m:4x64",
                                     "gpt2-124m:4x1024", "gpt2-124m:1x1024", "gpt2-124m:1x4096",
                                     "gpt2-124m:1x16384"};

const char *workload_models(void)
{
    return "char-0.8M, char-10.7M, gpt2-124m and tiny";
}

/* "4x64", both at least 1 and below a billion. */
static int read_batch(const char *text, size_t *B, size_t *T)
{
    int end = 0;
    unsigned long b, t;
    if (strspn(text, "0123456789x") != strlen(text) ||
        sscanf(text, "%9lux%9lu%n", &b, &t, &end) != 2 || text[end] || !b || !t)
        return -1;
    *B = b, *T = t;
    return 0;
}

static int find_model(struct workload *w, const char *name, struct error *err)
{
    const size_t length = strcspn(name, ":");
    for (int i = 0; i < MODELS; i++) {
        if (strlen(models[i].name) != length || strncmp(models[i].name, name, length))
            continue;
        *w = (struct workload){.B = models[i].B, .T = models[i].T};
        if (name[length] && read_batch(name + length + 1, &w->B, &w->T))
            return fail(err, "'%s': expected %s:BxT, sequences and tokens of each, as in %s:4x64",
                        name, models[i].name, models[i].name);
        w->config = (struct model_config){
            .n_layer = models[i].n_layer,
            .n_head = models[i].n_head,
            .n_embd = models[i].n_embd,
            .block_size = w->T > models[i].block_size ? w->T : models[i].block_size,
            .vocab_size = models[i].vocab_size,
            .padded_vocab_size = models[i].vocab_size,
            .bias = models[i].bias,
            .gelu = models[i].gelu};
        snprintf(w->name, sizeof w->name, "%s:%zux%zu", models[i].name, w->B, w->T);
        return 0;
    }
    return fail(err, "'%s' is no workload: expected decode, memory, or a model, which are %s", name,
                workload_models());
}

/* "decode", or "decode:8" for eight texts side by side. */
static int read_texts(struct workload *w, const char *name, struct error *err)
{
    int end = 0;
    w->kind = WORKLOAD_DECODE;
    w->B = 1;
    snprintf(w->name, sizeof w->name, "%.32s", name);
    if (name[6] && (name[7] < '1' || name[7] > '9' ||
                    sscanf(name + 7, "%4zu%n", &w->B, &end) != 1 || name[7 + end]))
        return fail(err, "'%s': expected decode:N, texts side by side, below 10000", name);
    return 0;
}

int workloads_add(struct workloads *w, const char *name, struct error *err)
{
    if (w->count == WORKLOADS_MAX)
        return fail(err, "'%s': more than %d workloads", name, WORKLOADS_MAX);
    struct workload *new = &w->list[w->count];
    if (!strcmp(name, "memory")) {
        *new = (struct workload){.kind = WORKLOAD_MEMORY, .name = "memory"};
    } else if (!strncmp(name, "decode", 6) && (!name[6] || name[6] == ':')) {
        if (find_model(new, "gpt2-124m", err) || read_texts(new, name, err))
            return -1;
    } else if (find_model(new, name, err)) {
        return -1;
    }
    w->count++;
    return 0;
}

static void add_known(struct workloads *w, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        workloads_add(w, names[i], NULL);
}

void workloads_add_default(struct workloads *w)
{
    add_known(w, standard, sizeof standard / sizeof *standard);
}

void workloads_add_all(struct workloads *w)
{
    add_known(w, all, sizeof all / sizeof *all);
}

void workloads_add_memory(struct workloads *w)
{
    add_known(w, memory, sizeof memory / sizeof *memory);
}
