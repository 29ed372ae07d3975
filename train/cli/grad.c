/* grad.c: handgrad grad. */
#include "base/minmax.h"
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
    const char *checkpoint, *ids, *text, *out; /* ids or text */
    int precision;                             /* enum gradient_precision */
};

/* The last tokens of the text, at most block_size + 1, as one row. */
static int encode_text(const struct arguments *a, const struct checkpoint *c, uint32_t **ids,
                       size_t *columns, struct error *err)
{
    struct error why;
    size_t n;
    const size_t most = c->tensors->config.block_size + 1;
    if (!c->tokenizer)
        return fail(err, "%s: has no tokenizer, which --text needs", a->checkpoint);
    if (tokenizer_encode(c->tokenizer, a->text, strlen(a->text), false, ids, &n, &why))
        return fail(err, "--text: %s", why.text);
    if (n < 2) {
        free(*ids);
        return fail(err, "--text: expected at least 2 tokens, got %zu", n);
    }
    if (n > most)
        fprintf(stderr,
                "handgrad: --text: only the last %zu of its %zu tokens fit into block_size\n", most,
                n);
    *columns = size_min(n, most);
    memmove(*ids, *ids + n - *columns, *columns * sizeof **ids);
    return 0;
}

/* Reads the batch for a checkpoint, of which *sizes are the model's. */
static int read_batch(const struct arguments *a, struct model_config *sizes, uint32_t **ids,
                      size_t *rows, size_t *columns, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(a->checkpoint, &c, err);
    if (!f)
        return -1;
    *sizes = c.tensors->config;
    *rows = 1;
    const int status = a->text ? encode_text(a, &c, ids, columns, err)
                               : ids_file_read(a->ids, sizes->vocab_size, ids, rows, columns, err);
    checkpoint_close(f);
    return status;
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
    for (size_t i = 0; i < (a->ids ? 2 : 1) && stat(a->out, &out) == 0; i++)
        if (stat(inputs[i], &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return fail(err, "%s: is an input, so it cannot be the output", a->out);
    return 0;
}

static int run_grad(const struct arguments *a, struct error *err)
{
    struct model_config sizes;
    uint32_t *ids;
    size_t B, columns;
    if (check_output(a, err) || read_batch(a, &sizes, &ids, &B, &columns, err))
        return -1;
    const size_t T = columns - 1;
    int status = -1;
    uint32_t *batch = malloc(2 * B * T * sizeof *batch);
    if (T > sizes.block_size) {
        fail(err, "%s: rows of %zu ids, expected at most %zu, block_size + 1", a->ids, columns,
             sizes.block_size + 1);
    } else if (!batch) {
        fail(err, "out of memory for %zu rows", B);
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
         .string = &a.ids},
        {"text", 't', "TEXT", "The batch as a text: its last block_size + 1 tokens",
         .string = &a.text},
        {"output", 'o', "OUT.h5", "File to write: loss, logits and grads/NAME", .required = true,
         .string = &a.out},
        {"precision", 'p', "TYPE",
         "f32, bf16 (matrix products with operands rounded to bf16) or f64 (f32)",
         .choice = &a.precision, .choices = precisions},
        {0}};
    parse_command_line(argc, argv, options,
                       "CKPT.h5|RUN --ids FILE -o OUT.h5\nCKPT.h5|RUN --text TEXT -o OUT.h5",
                       "Computes the loss, the logits and the gradient of every parameter for "
                       "one batch, without dropout, and writes them to an HDF5 file.");
    if (!a.ids == !a.text) {
        fail(err, "expected either --ids FILE or --text TEXT");
        return WRONG_USAGE;
    }
    char path[RUN_PATH_MAX];
    return (a.checkpoint = checkpoint_of(path, a.checkpoint, err)) ? run_grad(&a, err) : -1;
}
