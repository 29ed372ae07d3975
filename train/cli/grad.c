/* grad.c: handgrad grad. */
#include "train/checkpoint/checkpoint.h"
#include "train/checkpoint/run_directory.h"
#include "train/cli/command.h"
#include "train/gradient_file.h"
#include "train/ids_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const precisions[] = {"f32", "bf16", "f64", NULL};

struct arguments {
    const char *checkpoint, *ids, *out;
    int precision; /* enum gradient_precision */
};

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

/* Splits rows of T+1 ids into inputs and targets (B,T). */
static void split_rows(const uint32_t *ids, uint32_t *inputs, uint32_t *targets, size_t B, size_t T)
{
    for (size_t b = 0; b < B; b++, ids += T + 1) {
        memcpy(inputs + b * T, ids, T * sizeof *ids);
        memcpy(targets + b * T, ids + 1, T * sizeof *ids);
    }
}

/* Refuses to overwrite an input: a trained model may have taken days. */
static int check_output(const struct arguments *a, struct error *err)
{
    const char *inputs[] = {a->checkpoint, a->ids};
    struct stat out, in;
    for (size_t i = 0; i < 2 && stat(a->out, &out) == 0; i++)
        if (stat(inputs[i], &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return fail(err, "%s: is an input, so it cannot be the output", a->out);
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
        fail(err, "%s: rows of %zu ids, expected at most %zu, block_size + 1", a->ids, columns,
             sizes.block_size + 1);
    } else if (!batch) {
        fail(err, "%s: out of memory", a->ids);
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

int command_grad(int argc, char **argv, struct error *err)
{
    struct arguments a = {0};
    const struct option_spec options[] = {
        {"CKPT.h5|RUN", .operand = &a.checkpoint},
        {"ids", 0, "FILE",
         "The batch as text: one row of T+1 token ids per line. All but the last are inputs, all "
         "but the first are targets",
         .required = true, .string = &a.ids},
        {"output", 'o', "OUT.h5", "File to write: loss, logits and grads/NAME", .required = true,
         .string = &a.out},
        {"precision", 'p', "TYPE",
         "f32, bf16 (matrix products with operands rounded to bf16) or f64 (f32)",
         .choice = &a.precision, .choices = precisions},
        {0}};
    parse_command_line(argc, argv, options, "CKPT.h5|RUN --ids FILE -o OUT.h5",
                       "Computes the loss, the logits and the gradient of every parameter for "
                       "one batch, without dropout, and writes them to an HDF5 file.");
    char path[RUN_PATH_MAX];
    return (a.checkpoint = checkpoint_of(path, a.checkpoint, err)) ? run_grad(&a, err) : -1;
}
