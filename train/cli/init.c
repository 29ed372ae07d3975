/* init.c: handgrad init. */
#include "train/cli/command.h"
#include "train/cli/options.h"
#include "train/model_file.h"
#include <math.h>
#include <stdio.h>
#include <unistd.h>

struct arguments {
    const char *config, *out;
    struct settings settings;
};

enum { SET = 1000 };

static const struct argp_option options[] = {
    {"output", 'o', "CKPT.h5", 0, "The checkpoint to write, in place of one that is there", 0},
    {"set", SET, "SECTION.KEY=VALUE", 0, "Overrides a key of CONFIG; may be repeated", 0},
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 'o':
        a->out = arg;
        return 0;
    case SET:
        settings_add(&a->settings, arg, state);
        return 0;
    case ARGP_KEY_ARG:
        if (a->config)
            argp_error(state, "'%s': one CONFIG is enough", arg);
        a->config = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->config || !a->out)
            argp_error(state, "%s is missing", a->config ? "-o CKPT.h5" : "CONFIG");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The tokenizer of data.dir, where there is one. */
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
    struct model_config sizes;
    if (config_model(config, tokenizer ? tokenizer_vocab_size(tokenizer) : 0, &sizes, a->config,
                     err))
        return -1;
    struct gpt g;
    struct tensors *tensors = tensors_create(&sizes);
    if (!tensors || gpt_create(&g, tensors, 1, GPT_INFER))
        return fail(err, "%s: no memory for a model of these sizes", a->config);
    gpt_init(&g, config->train.seed);
    const struct checkpoint c = {
        .config = *config,
        .state = {.smoothed_loss = NAN, .val_loss = NAN, .best_val_loss = NAN},
        .tokenizer = tokenizer,
        .tensors = g.tensors,
        .params = g.params};
    const int status = checkpoint_write(&c, a->out, err);
    if (status == 0)
        printf("%s: %.2f M parameters, %zu symbols%s\n", a->out,
               (double)g.tensors->n_parameters / 1e6, sizes.vocab_size,
               tokenizer ? "" : ", no tokenizer");
    gpt_destroy(&g);
    return status;
}

int command_init(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "CONFIG -o CKPT.h5",
        "Writes a checkpoint of step 0: initial weights, the tokenizer of data.dir where there is "
        "one, no optimiser state.",
        NULL,
        NULL,
        NULL};
    struct arguments a = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct error err;
    struct config config;
    struct tokenizer *tokenizer = NULL;
    int status = settings_load(&a.settings, &config, a.config, &err);
    if (status == 0)
        status = find_tokenizer(&config, &tokenizer, &err);
    if (status == 0)
        status = write_initial(&a, &config, tokenizer, &err);
    tokenizer_destroy(tokenizer);
    return status ? print_error(&err) : 0;
}
