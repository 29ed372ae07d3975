/* lens_draw.c: see lens_draw.h. */
#include "train/lens/lens_draw.h"
#include "base/printable.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LABEL_COLUMNS = 12 };

/* All that the maps of one text point to. */
struct maps_memory {
    struct heatmap *maps;
    float *values; /* (n, T, T) */
    char (*labels)[PRINTABLE_MAX];
    const char **label;
};

static void free_memory(struct maps_memory *m)
{
    free(m->maps);
    free(m->values);
    free(m->labels);
    free(m->label);
}

static int allocate(struct maps_memory *m, size_t n, size_t T)
{
    *m = (struct maps_memory){malloc(n * sizeof *m->maps), malloc(n * T * T * sizeof *m->values),
                              malloc(T * sizeof *m->labels), malloc(T * sizeof *m->label)};
    if (m->maps && m->values && m->labels && m->label)
        return 0;
    free_memory(m);
    return -1;
}

int lens_maps(struct heatmaps *h, struct inspection *r, long layer, long head, struct error *err)
{
    const size_t L = r->file.model.tensors->config.n_layer,
                 H = r->file.model.tensors->config.n_head, T = r->T, size = T * T;
    const size_t layer_0 = layer < 0 ? 0 : (size_t)layer, layers = layer < 0 ? L : 1,
                 head_0 = head < 0 ? 0 : (size_t)head, heads = head < 0 ? H : 1;
    struct maps_memory m;
    if (allocate(&m, layers * heads, T))
        return fail(err, "no memory for %zu maps of %zu x %zu tokens", layers * heads, T, T);
    for (size_t t = 0; t < T; t++) {
        size_t n;
        const char *bytes = tokenizer_bytes(r->file.tokenizer, r->ids[t], &n);
        printable(m.labels[t], bytes, n, LABEL_COLUMNS);
        m.label[t] = m.labels[t];
    }
    for (size_t i = 0; i < layers * heads; i++) {
        const size_t l = layer_0 + i / heads, k = head_0 + i % heads;
        if (i % heads == 0)
            inspection_attention(r, l);
        memcpy(m.values + i * size, r->weights + k * size, size * sizeof *m.values);
        m.maps[i] = (struct heatmap){.side = T, .values = m.values + i * size, .labels = m.label};
        snprintf(m.maps[i].title, sizeof m.maps[i].title, "h.%zu head %zu", l, k);
    }
    *h = (struct heatmaps){.n = layers * heads, .columns = heads > 1 ? heads : 4, .maps = m.maps};
    if (h->n == 1)
        snprintf(h->title, sizeof h->title,
                 "attention of layer %zu, head %zu: rows look at columns", layer_0, head_0);
    else
        snprintf(h->title, sizeof h->title, "attention over %zu tokens: rows look at columns", T);
    return 0;
}

void lens_maps_free(struct heatmaps *h)
{
    if (!h->n)
        return;
    struct maps_memory m = {(struct heatmap *)h->maps, (float *)h->maps[0].values,
                            (char(*)[PRINTABLE_MAX])h->maps[0].labels[0],
                            (const char **)h->maps[0].labels};
    free_memory(&m);
    *h = (struct heatmaps){0};
}

struct canvas *lens_draw_gradient(const struct inspection *r, size_t position,
                                  struct canvas *(*create)(double, double))
{
    enum { PAD = 16, LINE = 16, TITLE = 16, TEXT = 12, LEFT = 150, BAR = 420, RIGHT = 110 };
    static const struct rgb ink = {0x22, 0x22, 0x22}, bar = {0x31, 0x68, 0x8e},
                            faint = {0x99, 0x99, 0x99};
    const double top = PAD + TITLE + 16;
    struct canvas *c = create(LEFT + BAR + RIGHT, top + LINE * (double)r->T + PAD);
    if (!c)
        return NULL;
    char title[160];
    snprintf(title, sizeof title, "gradient of the loss at position %zu by each embedding",
             position);
    canvas_text(c, PAD, PAD + TITLE - 2, TITLE, TEXT_LEFT, 0, ink, title);
    double most = 0;
    for (size_t t = 0; t < r->T; t++)
        most = fmax(most, inspection_gradient_norm(r, t));
    for (size_t t = 0; t < r->T; t++) {
        const double y = top + LINE * (double)t, norm = inspection_gradient_norm(r, t),
                     length = BAR * inspection_gradient_bar(norm, most);
        char shown[PRINTABLE_MAX], text[96];
        size_t n;
        const char *bytes = tokenizer_bytes(r->file.tokenizer, r->ids[t], &n);
        printable(shown, bytes, n, LABEL_COLUMNS);
        snprintf(text, sizeof text, "%s %4zu", shown, t);
        canvas_text(c, LEFT - 8, y + 12, TEXT, TEXT_RIGHT, 0, t > position ? faint : ink, text);
        canvas_rectangle(c, LEFT, y + 2, length, LINE - 4, bar);
        snprintf(text, sizeof text, norm == 0 ? "0" : "%.2e", norm);
        canvas_text(c, LEFT + length + 6, y + 12, TEXT, TEXT_LEFT, 0, t > position ? faint : ink,
                    text);
    }
    return c;
}
