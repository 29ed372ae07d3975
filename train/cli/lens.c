/* lens.c: handgrad lens. */
#include "base/atomic.h"
#include "train/cli/command.h"
#include "train/cli/options.h"
#include "train/lens/inspection.h"
#include "train/lens/inspection_json.h"
#include "train/lens/lens_draw.h"
#include "train/lens/lens_print.h"
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct arguments {
    const char *checkpoint, *text, *out;
    struct canvas *(*create)(double width, double height); /* of the format that `out` names */
    long layer, head, gradient; /* LENS_ALL, or none for the gradient, where not given */
    size_t top;
    bool json, top_given;
};

enum { LAYER = 1000, HEAD, TOP, GRADIENT, JSON, DEFAULT_TOP = 5 };

static const struct argp_option options[] = {
    {"text", 't', "TEXT", 0, "What the model reads: at most block_size tokens", 0},
    {"layer", LAYER, "N", 0, "Attention of this layer alone, from 0; with --head one large map", 0},
    {"head", HEAD, "N", 0, "Attention of this head alone, from 0", 0},
    {"top", TOP, "K", 0, "The K likeliest next tokens at each position (5)", 0},
    {"gradient", GRADIENT, "T", 0,
     "The gradient of the loss at position T, from 0, with respect to every input embedding", 0},
    {"output", 'o', "FILE", 0,
     "Attention, or with --gradient that, as a picture: FILE ends in .svg or .png", 0},
    {"json", JSON, NULL, 0,
     "One object with all numbers; weights and gradients where --layer, --head, --gradient ask for "
     "them",
     0},
    {0}};

static void set_output(struct arguments *a, char *arg, struct argp_state *state)
{
    const size_t n = strlen(arg);
    const char *end = n > 4 ? arg + n - 4 : "";
    a->out = arg;
    if (!strcmp(end, ".svg"))
        a->create = canvas_svg;
    else if (!strcmp(end, ".png"))
        a->create = canvas_png;
    else
        argp_error(state, "-o: '%s' ends neither in .svg nor in .png", arg);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 't':
        a->text = arg;
        return 0;
    case LAYER:
        a->layer = (long)option_u64(state, "--layer", arg, 0, INT32_MAX);
        return 0;
    case HEAD:
        a->head = (long)option_u64(state, "--head", arg, 0, INT32_MAX);
        return 0;
    case TOP:
        a->top = option_u64(state, "--top", arg, 1, INT32_MAX);
        a->top_given = true;
        return 0;
    case GRADIENT:
        a->gradient = (long)option_u64(state, "--gradient", arg, 0, INT32_MAX);
        return 0;
    case 'o':
        set_output(a, arg, state);
        return 0;
    case JSON:
        a->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (a->checkpoint)
            argp_error(state, "'%s': one CKPT.h5 is enough", arg);
        a->checkpoint = arg;
        return 0;
    case ARGP_KEY_END:
        if (!a->checkpoint || !a->text)
            argp_error(state, "%s is missing", a->checkpoint ? "--text TEXT" : "CKPT.h5");
        if (a->json && a->out)
            argp_error(state, "--json and -o: one of them");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int check(const struct arguments *a, const struct inspection *r, struct error *err)
{
    const struct model_config *c = &r->file.model.tensors->config;
    if (a->layer >= (long)c->n_layer)
        return fail(err, "--layer %ld: the model has the layers 0 to %zu", a->layer,
                    c->n_layer - 1);
    if (a->head >= (long)c->n_head)
        return fail(err, "--head %ld: the model has the heads 0 to %zu", a->head, c->n_head - 1);
    if (a->gradient >= 0 && r->T == 1)
        return fail(err, "--gradient %ld: a text of one token has no next token, so no loss",
                    a->gradient);
    if (a->gradient >= (long)r->T - 1)
        return fail(err, "--gradient %ld: the losses of %zu tokens are at positions 0 to %zu",
                    a->gradient, r->T, r->T - 2);
    return 0;
}

static int print_json(const struct arguments *a, struct inspection *r, struct error *err)
{
    const struct model_config *c = &r->file.model.tensors->config;
    if (inspection_json_begin(stdout, r, a->top, err))
        return -1;
    if (a->layer >= 0 || a->head >= 0) {
        const char *before = ", \"attention\": [";
        for (size_t l = 0; l < c->n_layer; l++)
            for (size_t h = 0; h < c->n_head; h++) {
                if ((a->layer >= 0 && l != (size_t)a->layer) ||
                    (a->head >= 0 && h != (size_t)a->head))
                    continue;
                inspection_attention(r, l);
                fputs(before, stdout);
                inspection_json_attention(stdout, r, l, h);
                before = ", ";
            }
        fputs("]", stdout);
    }
    if (a->gradient >= 0) {
        fputs(", \"gradient\": ", stdout);
        inspection_json_gradient(stdout, r, (size_t)a->gradient, true);
    }
    puts("}");
    return 0;
}

static int print_maps(const struct arguments *a, struct inspection *r, const struct terminal *t,
                      struct error *err)
{
    struct heatmaps maps;
    if (lens_maps(&maps, r, a->layer, a->head, err))
        return -1;
    heatmap_terminal(&maps, t, stdout);
    lens_maps_free(&maps);
    return 0;
}

static void print_gradient(const struct arguments *a, struct inspection *r,
                           const struct terminal *t)
{
    inspection_gradient(r, (size_t)a->gradient);
    printf("gradient of the loss at position %ld, %.3f nats: its norm at each input embedding\n\n",
           a->gradient, r->losses[a->gradient]);
    lens_print_gradient(stdout, t, r, (size_t)a->gradient);
}

/* What is asked for; predictions, depths and all maps where nothing is. */
static int print_text(const struct arguments *a, struct inspection *r, struct error *err)
{
    const struct terminal t = terminal_detect(STDOUT_FILENO);
    const bool maps = a->layer >= 0 || a->head >= 0,
               all = !maps && a->gradient < 0 && !a->top_given;
    if ((all || a->top_given) && lens_print_predictions(stdout, &t, r, a->top, err))
        return -1;
    if (all) {
        puts("\nif the model ended there: the likeliest next token after the embedding, and after "
             "each block\n");
        if (lens_print_depths(stdout, &t, r, err))
            return -1;
        putchar('\n');
    }
    if ((all || maps) && print_maps(a, r, &t, err))
        return -1;
    if (a->gradient >= 0)
        print_gradient(a, r, &t);
    return 0;
}

/* The canvas into memory, and that into the file, whole or not at all. */
static int save(struct canvas *c, const char *path, struct error *err)
{
    char *bytes = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&bytes, &n);
    int status = f ? canvas_write(c, f, err) : fail(err, "%s: no memory", path);
    if (f && fclose(f) && status == 0)
        status = fail(err, "%s: no memory", path);
    if (status == 0)
        status = atomic_write(path, bytes, n, err);
    free(bytes);
    return status;
}

static int draw(const struct arguments *a, struct inspection *r, struct error *err)
{
    struct canvas *c;
    if (a->gradient >= 0) {
        inspection_gradient(r, (size_t)a->gradient);
        c = lens_draw_gradient(r, (size_t)a->gradient, a->create);
    } else {
        struct heatmaps maps;
        if (lens_maps(&maps, r, a->layer, a->head, err))
            return -1;
        c = heatmap_draw(&maps, a->create);
        lens_maps_free(&maps);
    }
    if (!c)
        return fail(err, "%s: no memory for the picture", a->out);
    return save(c, a->out, err);
}

static int run_lens(struct arguments *a, struct error *err)
{
    struct inspection r;
    struct error why;
    if (inspection_open(&r, a->checkpoint, err))
        return -1;
    int status = 0;
    const size_t V = r.file.model.tensors->config.vocab_size;
    a->top = a->top < V ? a->top : V;
    if (inspection_take(&r, a->text, strlen(a->text), &why))
        status = fail(err, "--text: %s", why.text);
    else if (!(status = check(a, &r, err)))
        status = (a->out ? draw : a->json ? print_json : print_text)(a, &r, err);
    inspection_close(&r);
    return status;
}

int command_lens(int argc, char **argv)
{
    static const struct argp argp = {
        options,
        parse,
        "CKPT.h5 --text TEXT",
        "Looks into a model while it reads a text: what it expects next at each position, and "
        "would after each block; what attention looks at; where a loss's gradient goes.",
        NULL,
        NULL,
        NULL};
    struct arguments a = {.layer = LENS_ALL, .head = LENS_ALL, .gradient = -1, .top = DEFAULT_TOP};
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    setlocale(LC_CTYPE, "C.UTF-8"); /* widths of characters: see visible.h */
    struct error err;
    return run_lens(&a, &err) ? print_error(&err) : 0;
}
