/* heatmap.c: colours and cells of a heat map; see heatmap.h. */
#include "train/report/heatmap.h"
#include <math.h>

/* viridis (van der Walt and Smith 2015), every seventh of its way: as bright as it looks, and told apart by the colour-blind. */
static const struct rgb viridis[] = {{0x44, 0x01, 0x54}, {0x48, 0x28, 0x78}, {0x3e, 0x49, 0x89},
                                     {0x31, 0x68, 0x8e}, {0x26, 0x82, 0x8e}, {0x1f, 0x9e, 0x89},
                                     {0x35, 0xb7, 0x79}, {0x6e, 0xce, 0x58}, {0xb5, 0xde, 0x2b},
                                     {0xfd, 0xe7, 0x25}};
enum { LAST = sizeof viridis / sizeof *viridis - 1 };

static unsigned char between(unsigned char a, unsigned char b, double way)
{
    return (unsigned char)lrint(a + way * (b - a));
}

struct rgb heatmap_colour(double weight)
{
    const double at = sqrt(fmin(fmax(weight, 0), 1)) * LAST;
    const int i = at >= LAST ? LAST - 1 : (int)at;
    const struct rgb a = viridis[i], b = viridis[i + 1];
    return (struct rgb){between(a.r, b.r, at - i), between(a.g, b.g, at - i),
                        between(a.b, b.b, at - i)};
}

size_t heatmap_cells(size_t *step, size_t side, size_t limit)
{
    *step = (side + limit - 1) / limit;
    return (side + *step - 1) / *step;
}

double heatmap_cell(const struct heatmap *m, size_t row, size_t rows, size_t column, size_t columns)
{
    double most = 0;
    for (size_t r = row; r < row + rows && r < m->side; r++)
        for (size_t c = column; c < column + columns && c < m->side; c++)
            most = fmax(most, m->values[r * m->side + c]);
    return most;
}
