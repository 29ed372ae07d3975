/* lens.c: handgrad lens. */
#include "base/atomic.h"
#include "train/cli/command.h"
#include "train/cli/options.h"
#include "train/lens/inspection.h"
#include "train/lens/inspection_json.h"
#include "train/lens/lens_draw.h"
#include "train/lens/lens_print.h"
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_TOP = 5 };
static const uint64_t NONE = (uint64_t)LENS_ALL; /* an option that was not given */

struct arguments {
    const char *checkpoint, *text, *out;
    struct canvas *(*create)(double width, double height); /* for the format of `out` */
    uint64_t layer, head, gradient, top;                   /* NONE if not given */
    bool json;
};

static int check(struct arguments *a, struct error *err)
{
    if (!a->out)
        return 0;
    if (a->json)
        return fail(err, "--json and -o: expected only one of them");
    const size_t n = strlen(a->out);
    const char *suffix = n > 4 ? a->out + n - 4 : "";
    a->create = !strcmp(suffix, ".svg") ? canvas_svg : !strcmp(suffix, ".png") ? canvas_png : NULL;
    return a->create ? 0 : fail(err, "-o: '%s': expected a name that ends in .svg or .png", a->out);
}

/* Checks the options against the model and the text. */
static int check_ranges(const struct arguments *a, const struct inspection *r, struct error *err)
{
    const struct model_config *c = &r->file.model.tensors->config;
    if (a->layer != NONE && a->layer >= c->n_layer)
        return fail(err, "--layer %" PRIu64 ": expected 0 to %zu", a->layer, c->n_layer - 1);
    if (a->head != NONE && a->head >= c->n_head)
        return fail(err, "--head %" PRIu64 ": expected 0 to %zu", a->head, c->n_head - 1);
    if (a->gradient != NONE && a->gradient + 1 >= r->T)
        return fail(err, "--gradient %" PRIu64 ": a text of %zu tokens has %zu losses", a->gradient,
                    r->T, r->T - 1);
    return 0;
}

/* The number of predictions to show, at most the vocabulary. */
static size_t top(const struct arguments *a, const struct inspection *r)
{
    const size_t V = r->file.model.tensors->config.vocab_size,
                 k = a->top == NONE ? DEFAULT_TOP : a->top;
    return k < V ? k : V;
}

static int print_json(const struct arguments *a, struct inspection *r, struct error *err)
{
    const struct model_config *c = &r->file.model.tensors->config;
    if (inspection_json_begin(stdout, r, top(a, r), err))
        return -1;
    if (a->layer != NONE || a->head != NONE) {
        const char *before = ", \"attention\": [";
        for (size_t l = 0; l < c->n_layer; l++)
            for (size_t h = 0; h < c->n_head; h++) {
                if ((a->layer != NONE && l != a->layer) || (a->head != NONE && h != a->head))
                    continue;
                inspection_attention(r, l);
                fputs(before, stdout);
                inspection_json_attention(stdout, r, l, h);
                before = ", ";
            }
        fputs("]", stdout);
    }
    if (a->gradient != NONE) {
        fputs(", \"gradient\": ", stdout);
        inspection_json_gradient(stdout, r, a->gradient, true);
    }
    puts("}");
    return 0;
}

static void print_gradient(const struct arguments *a, struct inspection *r,
                           const struct terminal *t)
{
    inspection_gradient(r, a->gradient);
    printf("gradient of the loss at position %" PRIu64 " (%.3f nats): norm at each input "
           "embedding\n\n",
           a->gradient, r->losses[a->gradient]);
    lens_print_gradient(stdout, t, r, a->gradient);
}

/* Prints what the options select: by default predictions, depths and all attention maps. */
static int print_text(const struct arguments *a, struct inspection *r, struct error *err)
{
    const struct terminal t = terminal_detect(STDOUT_FILENO);
    const bool maps = a->layer != NONE || a->head != NONE,
               all = !maps && a->gradient == NONE && a->top == NONE;
    if ((all || a->top != NONE) && lens_print_predictions(stdout, &t, r, top(a, r), err))
        return -1;
    if (all) {
        puts("\nmost likely next token if the model ended after the embedding or after a block\n");
        if (lens_print_depths(stdout, &t, r, err))
            return -1;
        putchar('\n');
    }
    struct heatmaps h;
    if (all || maps) {
        if (lens_maps(&h, r, (long)a->layer, (long)a->head, err))
            return -1;
        heatmap_terminal(&h, &t, stdout);
        lens_maps_free(&h);
    }
    if (a->gradient != NONE)
        print_gradient(a, r, &t);
    return 0;
}

/* Renders the canvas in memory and writes the file atomically. */
static int save(struct canvas *c, const char *path, struct error *err)
{
    char *bytes = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&bytes, &n);
    int status = f ? canvas_write(c, f, err) : fail(err, "%s: out of memory", path);
    if (f && fclose(f) && status == 0)
        status = fail(err, "%s: out of memory", path);
    if (status == 0)
        status = atomic_write(path, bytes, n, err);
    free(bytes);
    return status;
}

static int draw(const struct arguments *a, struct inspection *r, struct error *err)
{
    struct canvas *c;
    if (a->gradient != NONE) {
        inspection_gradient(r, a->gradient);
        c = lens_draw_gradient(r, a->gradient, a->create);
    } else {
        struct heatmaps maps;
        if (lens_maps(&maps, r, (long)a->layer, (long)a->head, err))
            return -1;
        c = heatmap_draw(&maps, a->create);
        lens_maps_free(&maps);
    }
    return c ? save(c, a->out, err) : fail(err, "%s: out of memory", a->out);
}

static int run_lens(const struct arguments *a, struct error *err)
{
    struct inspection r;
    struct error why;
    if (inspection_open(&r, a->checkpoint, err))
        return -1;
    int status = 0;
    if (inspection_take(&r, a->text, strlen(a->text), &why))
        status = fail(err, "--text: %s", why.text);
    else if (!(status = check_ranges(a, &r, err)))
        status = (a->out ? draw : a->json ? print_json : print_text)(a, &r, err);
    inspection_close(&r);
    return status;
}

int command_lens(int argc, char **argv)
{
    struct arguments a = {.layer = NONE, .head = NONE, .gradient = NONE, .top = NONE};
    const struct option_spec options[] = {
        {"CKPT.h5", .operand = &a.checkpoint},
        {"text", 't', "TEXT", "Text for the model to read, at most block_size tokens",
         .required = true, .string = &a.text},
        {"top", 0, "K", "Show the K most likely next tokens at each position (5)", .count = &a.top,
         .min = 1, .max = INT32_MAX},
        {"layer", 0, "N", "Show the attention of layer N only, counted from 0", .count = &a.layer,
         .max = INT32_MAX},
        {"head", 0, "N",
         "Show the attention of head N only, counted from 0; with --layer as one large map",
         .count = &a.head, .max = INT32_MAX},
        {"gradient", 0, "T",
         "Show the gradient of the loss at position T, counted from 0, with respect to every "
         "input embedding",
         .count = &a.gradient, .max = INT32_MAX},
        {"output", 'o', "FILE",
         "Draw the attention, or the gradient with --gradient; FILE ends in .svg or .png",
         .string = &a.out},
        {"json", 'j', NULL,
         "Print one JSON object; includes attention weights with --layer or --head and the "
         "gradient with --gradient",
         .flag = &a.json},
        {0}};
    struct error err;
    parse_command_line(argc, argv, options, "CKPT.h5 --text TEXT",
                       "Shows what a model computes for a text: the most likely next tokens "
                       "at each position, after the whole model and after each block; the "
                       "attention weights; the gradient of a loss.");
    if (check(&a, &err))
        return wrong_usage(argv[0], &err);
    setlocale(LC_CTYPE, "C.UTF-8"); /* printable() needs the widths of characters */
    return run_lens(&a, &err) ? print_error(&err) : 0;
}
