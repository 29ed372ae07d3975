/* lens_draw.c: see lens_views.h. */
#include "base/minmax.h"
#include "train/lens/lens_views.h"
#include <string.h>

enum { LABEL_COLUMNS = 10 };

int lens_maps(struct heatmaps *h, struct inspection *in, long layer, long head, struct error *err)
{
    const size_t T = in->T, first_layer = layer < 0 ? 0 : layer, first_head = head < 0 ? 0 : head,
                 layers = layer < 0 ? in->config->n_layer : 1,
                 heads = head < 0 ? in->config->n_head : 1;
    if (heatmaps_create(h, layers * heads, T))
        return fail(err, "no memory for %zu maps of %zu x %zu tokens", layers * heads, T, T);
    for (size_t t = 0; t < T; t++)
        h->labels[t].columns = inspection_token(h->labels[t].text, in, in->ids[t], LABEL_COLUMNS);
    for (size_t i = 0; i < h->n; i++) {
        const size_t l = first_layer + i / heads, k = first_head + i % heads;
        if (i % heads == 0)
            inspection_attention(in, l);
        memcpy(h->values + i * T * T, in->weights + k * T * T, T * T * sizeof *h->values);
        snprintf(h->names[i], sizeof h->names[i], "h.%zu head %zu", l, k);
    }
    h->columns = heads > 1 ? heads : size_min(h->n, 4);
    snprintf(h->title, sizeof h->title, "attention%s%s: rows are queries, columns are keys",
             h->n == 1 ? " of " : "", h->n == 1 ? h->names[0] : "");
    return 0;
}

void lens_draw_gradient(struct drawing *d, const struct inspection *in, size_t position)
{
    enum { LINE = 16, BAR = 420, FAINT = 0x999999, COLOUR = 0x31688e };
    char title[160];
    for (size_t t = 0; t < in->T; t++) {
        const double y = LINE * t, length = BAR * inspection_bar(in, t);
        const uint32_t colour = t > position ? FAINT : INK;
        char shown[PRINTABLE_MAX], text[96];
        inspection_token(shown, in, in->ids[t], LABEL_COLUMNS);
        snprintf(text, sizeof text, "%zu", t);
        drawing_text(d, -8, y + 12, TEXT_END, colour, text);
        drawing_text(d, -44, y + 12, TEXT_END, colour, shown);
        drawing_rectangle(d, 0, y + 2, length, LINE - 4, COLOUR);
        snprintf(text, sizeof text, in->norms[t] == 0 ? "0" : "%.2e", in->norms[t]);
        drawing_text(d, length + 6, y + 12, TEXT_START, colour, text);
    }
    snprintf(title, sizeof title,
             "gradient of the loss at position %zu with respect to each embedding", position);
    drawing_title(d, title);
}
