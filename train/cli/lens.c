/* lens.c: handgrad lens. */
#include "train/checkpoint/run_directory.h"
#include "train/cli/command.h"
#include "train/json.h"
#include "train/lens/inspection.h"
#include "train/lens/inspection_json.h"
#include "train/lens/lens_views.h"
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
    uint64_t layer, head, gradient, top; /* NONE if not given */
    bool json;
};

static int check(const struct arguments *a, struct error *err)
{
    if (a->json && a->out)
        return fail(err, "--json and -o: expected only one of them");
    return a->out ? drawing_check_name(a->out, err) : 0;
}

/* Checks the options against the model and the text. */
static int check_ranges(const struct arguments *a, const struct inspection *in, struct error *err)
{
    const struct model_config *c = in->config;
    if (a->layer != NONE && a->layer >= c->n_layer)
        return fail(err, "--layer %" PRIu64 ": expected 0 to %zu", a->layer, c->n_layer - 1);
    if (a->head != NONE && a->head >= c->n_head)
        return fail(err, "--head %" PRIu64 ": expected 0 to %zu", a->head, c->n_head - 1);
    if (a->gradient != NONE && a->gradient + 1 >= in->T)
        return fail(err, "--gradient %" PRIu64 ": a text of %zu tokens has %zu losses", a->gradient,
                    in->T, in->T - 1);
    return 0;
}

/* The number of predictions to show, at most the vocabulary. */
static size_t top(const struct arguments *a, const struct inspection *in)
{
    const size_t k = a->top == NONE ? DEFAULT_TOP : a->top;
    return k < in->config->vocab_size ? k : in->config->vocab_size;
}

static int print_json(const struct arguments *a, struct inspection *in, struct error *err)
{
    cJSON *json = inspection_json(in, top(a, in), err);
    if (!json)
        return -1;
    if (a->layer != NONE || a->head != NONE) {
        cJSON *maps = cJSON_AddArrayToObject(json, "attention");
        for (size_t l = 0; l < in->config->n_layer; l++)
            for (size_t h = 0; h < in->config->n_head; h++) {
                if ((a->layer != NONE && l != a->layer) || (a->head != NONE && h != a->head))
                    continue;
                inspection_attention(in, l);
                cJSON_AddItemToArray(maps, inspection_json_attention(in, l, h));
            }
    }
    if (a->gradient != NONE)
        cJSON_AddItemToObject(json, "gradient", inspection_json_gradient(in, a->gradient, true));
    json_print(json);
    return 0;
}

static void print_gradient(const struct arguments *a, struct inspection *in,
                           const struct terminal *t)
{
    inspection_gradient(in, a->gradient);
    printf("gradient of the loss at position %" PRIu64 " (%.3f nats): norm at each input "
           "embedding\n\n",
           a->gradient, in->losses[a->gradient]);
    lens_print_gradient(stdout, t, in, a->gradient);
}

/* Prints what the options select: by default predictions, depths and all attention maps. */
static int print_text(const struct arguments *a, struct inspection *in, struct error *err)
{
    const struct terminal t = terminal_detect(STDOUT_FILENO);
    const bool maps = a->layer != NONE || a->head != NONE,
               all = !maps && a->gradient == NONE && a->top == NONE;
    if ((all || a->top != NONE) && lens_print_predictions(stdout, &t, in, top(a, in), err))
        return -1;
    if (all) {
        puts("\nmost likely next token if the model ended after the embedding or after a block\n");
        if (lens_print_depths(stdout, &t, in, err))
            return -1;
        putchar('\n');
    }
    struct heatmaps h;
    if (all || maps) {
        if (lens_maps(&h, in, (long)a->layer, (long)a->head, err))
            return -1;
        heatmap_terminal(&h, &t, stdout);
        heatmaps_destroy(&h);
    }
    if (a->gradient != NONE)
        print_gradient(a, in, &t);
    return 0;
}

static int draw(const struct arguments *a, struct inspection *in, struct error *err)
{
    struct heatmaps h = {0};
    if (a->gradient != NONE)
        inspection_gradient(in, a->gradient);
    else if (lens_maps(&h, in, (long)a->layer, (long)a->head, err))
        return -1;
    struct drawing *d = drawing_create(err);
    if (d && a->gradient != NONE)
        lens_draw_gradient(d, in, a->gradient);
    else if (d)
        heatmap_draw(&h, d);
    heatmaps_destroy(&h);
    return d ? drawing_save(d, a->out, err) : -1;
}

static int run_lens(const struct arguments *a, struct error *err)
{
    struct inspection in;
    struct error why;
    if (inspection_open(&in, a->checkpoint, err))
        return -1;
    int status = 0;
    if (inspection_run(&in, a->text, strlen(a->text), &why))
        status = fail(err, "--text: %s", why.text);
    else if (in.omitted)
        fprintf(stderr,
                "handgrad: --text: only the last %zu of its %zu tokens fit into block_size\n", in.T,
                in.T + in.omitted);
    if (!status && !(status = check_ranges(a, &in, err)))
        status = (a->out ? draw : a->json ? print_json : print_text)(a, &in, err);
    inspection_close(&in);
    return status;
}

int command_lens(int argc, char **argv, struct error *err)
{
    struct arguments a = {.layer = NONE, .head = NONE, .gradient = NONE, .top = NONE};
    const struct option_spec options[] = {
        {"CKPT.h5|RUN", .operand = &a.checkpoint},
        {"text", 't', "TEXT",
         "Text for the model to read; of a longer one, the last block_size tokens",
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
         "Draw the attention, or the gradient with --gradient; FILE ends in .png, .svg or .pdf",
         .string = &a.out},
        {"json", 'j', NULL,
         "Print one JSON object; includes attention weights with --layer or --head and the "
         "gradient with --gradient",
         .flag = &a.json},
        {0}};
    parse_command_line(argc, argv, options, "CKPT.h5|RUN --text TEXT",
                       "Shows what a model computes for a text: the most likely next tokens "
                       "at each position, after the whole model and after each block; the "
                       "attention weights; the gradient of a loss.");
    if (check(&a, err))
        return WRONG_USAGE;
    setlocale(LC_CTYPE, "C.UTF-8"); /* printable() needs the widths of characters */
    char path[RUN_PATH_MAX];
    return (a.checkpoint = checkpoint_of(path, a.checkpoint, err)) ? run_lens(&a, err) : -1;
}
