/* init.c: handgrad init. */
#include "train/cli/command.h"
#include "train/model_file.h"
#include <math.h>
#include <stdio.h>
#include <unistd.h>

struct arguments {
    const char *config, *out;
    struct string_list settings;
};

/* The tokenizer in data.dir, or NULL if the folder has none. */
static int find_tokenizer(const struct config *config, struct tokenizer **tokenizer,
                          struct error *err)
{
    char path[CONFIG_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/tokenizer.h5", config->data.dir);
    *tokenizer = NULL;
    if (access(path, F_OK) != 0)
        return 0;
    *tokenizer = tokenizer_load(path, err);
    return *tokenizer ? 0 : -1;
}

static int write_initial(const struct arguments *a, const struct config *config,
                         struct tokenizer *tokenizer, struct error *err)
{
    struct gpt g;
    struct tensors *tensors =
        config_tensors(config, tokenizer ? tokenizer->vocab_size : 0, a->config, err);
    if (!tensors)
        return -1;
    if (gpt_create(&g, tensors, 1, GPT_INFER))
        return fail(err, "%s: out of memory for a model of these sizes", a->config);
    gpt_init(&g, config->train.seed);
    const struct checkpoint c = {
        .config = *config,
        .state = {.smoothed_loss = NAN, .val_loss = NAN, .best_val_loss = NAN},
        .tokenizer = tokenizer,
        .tensors = g.tensors,
        .params = g.params};
    const int status = checkpoint_write(&c, a->out, err);
    if (status == 0)
        printf("%s: %.2f M parameters, vocabulary of %zu%s\n", a->out,
               g.tensors->n_parameters / 1e6, tensors->config.vocab_size,
               tokenizer ? "" : ", no tokenizer");
    gpt_destroy(&g);
    return status;
}

int command_init(int argc, char **argv, struct error *err)
{
    struct arguments a = {0};
    const struct option_spec options[] = {
        {"CONFIG", .operand = &a.config},
        {"output", 'o', "CKPT.h5", "Checkpoint to write; an existing file is replaced",
         .required = true, .string = &a.out},
        {"set", 0, "SECTION.KEY=VALUE", "Override a key of CONFIG; may be repeated",
         .list = &a.settings},
        {0}};
    parse_command_line(argc, argv, options, "CONFIG -o CKPT.h5",
                       "Writes a checkpoint of step 0: initial weights, the tokenizer in "
                       "data.dir if there is one, no optimiser state.");
    struct config config;
    struct tokenizer *tokenizer = NULL;
    int status = settings_load(&a.settings, &config, a.config, err);
    if (status == 0)
        status = find_tokenizer(&config, &tokenizer, err);
    if (status == 0)
        status = write_initial(&a, &config, tokenizer, err);
    tokenizer_destroy(tokenizer);
    return status;
}
