/* inspect.c: handgrad inspect: shards, tokenizers, and the plot of a run. Checkpoints are in
 * inspect_checkpoint.c. */
#include "train/cli/inspect.h"
#include "data/hdf5/h5_read.h"
#include "data/shard.h"
#include "data/tokenizer/tokenizer.h"
#include "train/checkpoint/image.h"
#include "train/checkpoint/run_directory.h"
#include "train/cli/command.h"
#include "train/json.h"
#include "train/report/history.h"
#include "train/report/plot.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Takes over a list of more than a few files, and returns how many they are. */
static cJSON *summary_of(cJSON *sources)
{
    enum { FEW = 3 };
    const int n = cJSON_GetArraySize(sources);
    double bytes = 0;
    char text[96];
    const cJSON *source;
    if (n <= FEW)
        return sources;
    cJSON_ArrayForEach(source, sources) bytes +=
        cJSON_GetNumberValue(cJSON_GetObjectItem(source, "bytes"));
    snprintf(text, sizeof text, "%d files with %.0f bytes (--sources lists them)", n, bytes);
    cJSON_Delete(sources);
    return cJSON_CreateString(text);
}

static cJSON *shard_json(const struct inspect *in, const struct shard_info *info)
{
    cJSON *object = inspect_begin(in, "shard");
    json_add(object, FIELDS(TEXT("split", info->split), NUMBER("index", info->index),
                            NUMBER("count", info->count), NUMBER("tokens", info->tokens),
                            NUMBER("bytes", info->bytes)));
    if (info->has_documents)
        cJSON_AddNumberToObject(object, "documents", info->documents);
    inspect_add_tokenizer(object, info->tokenizer_kind, info->vocab_size,
                          info->tokenizer_fingerprint);
    json_add(object, FIELDS(TEXT("corpus", info->corpus), TEXT("sha256", info->sha256)));
    cJSON *sources = cJSON_Parse(info->sources);
    cJSON_AddItemToObject(object, "sources",
                          in->json || in->sources ? sources : summary_of(sources));
    return object;
}

static int inspect_shard(struct inspect *in, struct error *err)
{
    struct error problem;
    struct shard *shard = shard_open(in->path, 0, err);
    if (!shard)
        return -1;
    if (in->verify && shard_verify(shard, &problem))
        inspect_problem(in, &problem);
    inspect_print(in, shard_json(in, shard_get_info(shard)));
    shard_close(shard);
    return 0;
}

/* Prints the first tokens of a vocabulary, one after the other. */
static void print_symbols(const struct tokenizer *t)
{
    enum { SHOWN = 200 };
    printf("  %-*s", INSPECT_INDENT - 2, "symbols");
    for (uint32_t id = 0; id < t->vocab_size && id < SHOWN; id++) {
        size_t length;
        const char *bytes = tokenizer_bytes(t, id, &length);
        print_escaped(bytes, length, 0);
    }
    puts(t->vocab_size > SHOWN ? " …" : "");
}

static int inspect_tokenizer(struct inspect *in, struct error *err)
{
    struct tokenizer *t = tokenizer_load(in->path, err); /* verifies the file */
    if (!t)
        return -1;
    cJSON *object = inspect_begin(in, "tokenizer");
    json_add(object, FIELDS(TEXT("tokenizer", t->kind), NUMBER("vocab_size", t->vocab_size),
                            TEXT("fingerprint", t->fingerprint)));
    inspect_print(in, object);
    if (!in->json && strcmp(t->kind, "byte"))
        print_symbols(t);
    tokenizer_destroy(t);
    return 0;
}

/* An HDF5 file without the user block of a checkpoint: its root tells what it is. */
static int inspect_other(struct inspect *in, struct error *err)
{
    struct h5_reader *file = h5_open(in->path, err);
    if (!file)
        return -1;
    struct h5_node ignored;
    const bool is_shard = h5_member(h5_root(file), "tokens", &ignored);
    const bool is_tokenizer = !is_shard && h5_has_attribute(h5_root(file), "kind");
    const bool is_gradient = h5_member(h5_root(file), "grads", &ignored);
    const int status = is_gradient ? inspect_gradient(in, file, err) : -1;
    h5_close(file);
    if (is_gradient)
        return status;
    if (is_shard)
        return inspect_shard(in, err);
    if (is_tokenizer)
        return inspect_tokenizer(in, err);
    return fail(err, "%s: not a handgrad checkpoint, shard, tokenizer or gradient file", in->path);
}

static int plot_run(const struct inspect *in, struct error *err)
{
    struct history h;
    const struct terminal t = terminal_detect(STDOUT_FILENO);
    const int status = history_read(&h, in->path, err);
    if (!status)
        plot_losses(stdout, &h, &t);
    history_close(&h);
    return status;
}

int command_inspect(int argc, char **argv, struct error *err)
{
    struct inspect in = {0};
    const struct option_spec options[] = {
        {"FILE", .operand = &in.path},
        {"verify", 'v', NULL,
         "Read and check the whole file; exit with status 1 if anything is wrong",
         .flag = &in.verify},
        {"plot", 'p', NULL, "Plot the training and validation losses of a run folder",
         .flag = &in.plot},
        {"sources", 0, NULL, "List all files that a shard was made from", .flag = &in.sources},
        {"json", 'j', NULL, "Print one JSON object", .flag = &in.json},
        {0}};
    parse_command_line(
        argc, argv, options, "FILE.h5|RUN\n--plot RUN",
        "Describes a checkpoint, a shard, a tokenizer or a gradient file, or plots the losses of "
        "a run folder.");
    if (in.plot && (in.json || in.verify)) {
        fail(err, "--plot and %s: expected only one of them", in.json ? "--json" : "--verify");
        return WRONG_USAGE;
    }
    char path[RUN_PATH_MAX];
    if (!in.plot && !(in.path = checkpoint_of(path, in.path, err)))
        return -1;
    const int status = in.plot             ? plot_run(&in, err)
                       : image_is(in.path) ? inspect_checkpoint(&in, err)
                                           : inspect_other(&in, err);
    return status ? status : in.problems > 0;
}
