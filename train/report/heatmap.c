/* heatmap.c: memory, colours and cells of heat maps; see heatmap.h. */
#include "train/report/heatmap.h"
#include "base/minmax.h"
#include <math.h>
#include <stdlib.h>

int heatmaps_create(struct heatmaps *h, size_t n, size_t side)
{
    *h = (struct heatmaps){.n = n,
                           .columns = n,
                           .side = side,
                           .values = malloc(n * side * side * sizeof *h->values),
                           .names = calloc(n, sizeof *h->names),
                           .labels = calloc(side, sizeof *h->labels)};
    if (h->values && h->names && h->labels)
        return 0;
    heatmaps_destroy(h);
    return -1;
}

void heatmaps_destroy(struct heatmaps *h)
{
    free(h->values);
    free(h->names);
    free(h->labels);
    *h = (struct heatmaps){0};
}

/* Ten equidistant colours of viridis (van der Walt and Smith 2015), which is perceptually uniform
 * and readable with colour blindness. */
static const uint32_t viridis[] = {0x440154, 0x482878, 0x3e4989, 0x31688e, 0x26828e,
                                   0x1f9e89, 0x35b779, 0x6ece58, 0xb5de2b, 0xfde725};
enum { LAST = sizeof viridis / sizeof *viridis - 1 };

uint32_t heatmap_colour(double weight)
{
    const double position = sqrt(fmin(fmax(weight, 0), 1)) * LAST;
    const int i = position >= LAST ? LAST - 1 : (int)position;
    uint32_t colour = 0;
    for (int shift = 0; shift < 24; shift += 8) {
        const double a = viridis[i] >> shift & 0xff, b = viridis[i + 1] >> shift & 0xff;
        colour |= (uint32_t)lrint(a + (position - i) * (b - a)) << shift;
    }
    return colour;
}

struct heatmap_grid heatmap_grid(size_t side, size_t limit)
{
    const size_t step = ceil_div(side, limit);
    return (struct heatmap_grid){.cells = ceil_div(side, step), .step = step};
}

double heatmap_cell(const struct heatmaps *h, struct heatmap_grid g, size_t map, size_t row,
                    size_t column)
{
    double largest = 0;
    for (size_t r = row * g.step; r < (row + 1) * g.step && r < h->side; r++)
        for (size_t c = column * g.step; c < (column + 1) * g.step && c < h->side; c++)
            largest = fmax(largest, h->values[(map * h->side + r) * h->side + c]);
    return largest;
}
