/* sweep_draw.c: the picture of a sweep: error over step size, both logarithmic. */
#include "train/grade/sweep.h"
#include <math.h>
#include <stdio.h>

enum {
    WIDTH = 712,
    HEIGHT = 392,
    FIRST_STEP = -1, /* powers of ten */
    STEP_DECADES = 15,
    LARGEST_ERROR = 2,
    ERROR_DECADES = 19,
    GRID = 0xe4e4e4
};

/* Okabe and Ito's colours, and dashes: distinguishable with colour blindness, and in print. */
static const uint32_t colours[SWEEP_METHODS] = {0xd55e00, 0x0072b2, 0x009e73};
static const double dashes[SWEEP_METHODS][2] = {{0}, {7, 3}, {2, 3}};

static double x_of(double step)
{
    return WIDTH * (FIRST_STEP - log10(step)) / STEP_DECADES;
}

/* An error of zero is drawn at the lower edge, one that is NAN or too large at the upper. */
static double y_of(double error)
{
    const double decades = error > 0 ? LARGEST_ERROR - log10(error) : ERROR_DECADES;
    return HEIGHT * (decades >= 0 ? fmin(decades, ERROR_DECADES) : 0) / ERROR_DECADES;
}

static void draw_axes(struct drawing *d)
{
    char label[16];
    for (int e = FIRST_STEP; e >= FIRST_STEP - STEP_DECADES; e--) {
        const double x = x_of(pow(10, e));
        drawing_line(d, (double[][2]){{x, 0}, {x, HEIGHT}}, 2, 1, NULL, GRID);
        snprintf(label, sizeof label, "1e%d", e);
        if (e % 2)
            drawing_text(d, x, HEIGHT + 20, TEXT_MIDDLE, INK, label);
    }
    for (int e = LARGEST_ERROR; e >= LARGEST_ERROR - ERROR_DECADES; e--) {
        const double y = y_of(pow(10, e));
        drawing_line(d, (double[][2]){{0, y}, {WIDTH, y}}, 2, 1, NULL, GRID);
        snprintf(label, sizeof label, "1e%d", e);
        if (e % 2 == 0)
            drawing_text(d, -10, y + 4, TEXT_END, INK, label);
    }
    drawing_line(d, (double[][2]){{0, 0}, {WIDTH, 0}, {WIDTH, HEIGHT}, {0, HEIGHT}, {0, 0}}, 5, 1,
                 NULL, 0x666666);
}

static void draw_curve(struct drawing *d, const struct sweep *s, enum sweep_method m)
{
    const double *dash = dashes[m][0] ? dashes[m] : NULL, x = WIDTH * m / SWEEP_METHODS, y = -14;
    double points[SWEEP_STEPS][2];
    for (int i = 0; i < SWEEP_STEPS; i++) {
        points[i][0] = x_of(s->step[i]);
        points[i][1] = y_of(s->error[m][i]);
    }
    drawing_line(d, points, SWEEP_STEPS, 2.2, dash, colours[m]);
    drawing_line(d, (double[][2]){{x, y - 4}, {x + 30, y - 4}}, 2, 2.2, dash, colours[m]);
    drawing_text(d, x + 36, y, TEXT_START, INK, sweep_names[m]);
}

void sweep_draw(const struct sweep *s, struct drawing *d)
{
    char text[160];
    draw_axes(d);
    for (enum sweep_method m = 0; m < SWEEP_METHODS; m++)
        draw_curve(d, s, m);
    snprintf(text, sizeof text, "step h  (%s, %zu coordinates)", s->sizes, s->coordinates);
    drawing_text(d, WIDTH / 2, HEIGHT + 46, TEXT_MIDDLE, INK, text);
    drawing_text(d, -62, HEIGHT / 2, TEXT_MIDDLE | TEXT_UPWARDS, INK, "norm-wise relative error");
    snprintf(text, sizeof text, "%s: error of numerical derivatives over the step size", s->op);
    drawing_title(d, text);
}
