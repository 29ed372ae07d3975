/* grad.c: handgrad grad. */
#include "train/checkpoint/checkpoint.h"
#include "train/cli/command.h"
#include "train/cli/options.h"
#include "train/gradient_file.h"
#include "train/ids_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct arguments {
    const char *checkpoint, *ids, *out;
    enum gradient_precision precision;
};

enum { IDS = 1000 };

static const struct argp_option options[] = {
    {"ids", IDS, "FILE", 0,
     "The batch: rows of T+1 token ids in decimal; inputs are all but the last, targets all but "
     "the first",
     0},
    {"output", 'o', "OUT.h5", 0, "Where loss, logits and grads/<name> go", 0},
    {"precision", 'p', "TYPE", 0,
     "f32, bf16 (products of rounded operands) or f64; f32 unless told", 0},
    {0}};

static const char *const precisions[] = {"f32", "bf16", "f64"};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case IDS:
        a->ids = arg;
        return 0;
    case 'o':
        a->out = arg;
        return 0;
    case 'p':
        for (size_t i = 0; i < sizeof precisions / sizeof *precisions; i++)
            if (!strcmp(arg, precisions[i])) {
                a->precision = (enum gradient_precision)i;
                return 0;
            }
        argp_error(state, "--precision: '%s' is none of f32, bf16, f64", arg);
        return 0;
    case ARGP_KEY_ARG:
        if (a->checkpoint)
            argp_error(state, "'%s': one CKPT.h5 is enough", arg);
        a->checkpoint = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->checkpoint || !a->ids || !a->out)
            argp_error(state, "%s is missing",
                       !a->checkpoint ? "CKPT.h5"
                       : !a->ids      ? "--ids FILE"
                                      : "-o OUT.h5");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int read_sizes(const char *path, struct model_config *sizes, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    if (!f)
        return -1;
    *sizes = c.tensors->config;
    checkpoint_close(f);
    return 0;
}

/* Rows of T+1 ids into inputs and targets (B,T). */
static void split_rows(const uint32_t *ids, uint32_t *inputs, uint32_t *targets, size_t B, size_t T)
{
    for (size_t b = 0; b < B; b++)
        for (size_t t = 0; t < T; t++) {
            inputs[b * T + t] = ids[b * (T + 1) + t];
            targets[b * T + t] = ids[b * (T + 1) + t + 1];
        }
}

/* A trained model may have taken days. */
static int check_output(const struct arguments *a, struct error *err)
{
    const char *inputs[] = {a->checkpoint, a->ids};
    struct stat out, in;
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs && stat(a->out, &out) == 0; i++)
        if (stat(inputs[i], &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return fail(err, "%s: is read, and cannot be the output as well", a->out);
    return 0;
}

static int run_grad(const struct arguments *a, struct error *err)
{
    struct model_config sizes;
    uint32_t *ids;
    size_t B, columns;
    if (check_output(a, err) || read_sizes(a->checkpoint, &sizes, err) ||
        ids_file_read(a->ids, sizes.vocab_size, &ids, &B, &columns, err))
        return -1;
    const size_t T = columns - 1;
    int status = -1;
    uint32_t *batch = malloc(2 * B * T * sizeof *batch);
    if (T > sizes.block_size) {
        fail(err, "%s: rows of %zu ids, but block_size %zu takes at most %zu", a->ids, columns,
             sizes.block_size, sizes.block_size + 1);
    } else if (!batch) {
        fail(err, "%s: no memory", a->ids);
    } else {
        double loss;
        split_rows(ids, batch, batch + B * T, B, T);
        status = gradient_file_write(
            a->out, a->checkpoint, a->precision,
            &(struct batch){
                .inputs = batch, .targets = batch + B * T, .weight = 1, .rows = B, .block_size = T},
            &loss, err);
        if (status == 0)
            printf("loss %.9g on %zu x %zu tokens; gradients in %s\n", loss, B, T, a->out);
    }
    free(batch);
    free(ids);
    return status;
}

int command_grad(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "CKPT.h5 --ids FILE -o OUT.h5",
        "Loss, logits and the gradient of every parameter on one batch, without dropout, into an "
        "HDF5 file.",
        NULL,
        NULL,
        NULL};
    struct arguments a = {0};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    struct error err;
    return run_grad(&a, &err) ? print_error(&err) : 0;
}
