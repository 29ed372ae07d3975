/* sweep_svg.c: the picture of a sweep. */
#include "train/grade/sweep.h"
#include <math.h>

enum {
    WIDTH = 820,
    HEIGHT = 520,
    LEFT = 84,
    RIGHT = 24,
    TOP = 64,
    BOTTOM = 64,
    STEP_DECADES = 15,
    ERROR_TOP = 2,
    ERROR_DECADES = 19
};

static const char *const colours[SWEEP_METHODS] = {
    "#d55e00", "#0072b2", "#009e73"}; /* told apart by the colour-blind too */
static const char *const dashes[SWEEP_METHODS] = {"none", "7 3", "2 3"};

static double x_of(double step)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * (-1 - log10(step)) / STEP_DECADES;
}

/* Errors of zero lie on the lower edge, those that are no number or beyond on the upper. */
static double y_of(double error)
{
    const double decades = error > 0 ? ERROR_TOP - log10(error) : ERROR_DECADES;
    const double inside = !(decades >= 0) ? 0 : fmin(decades, ERROR_DECADES);
    return TOP + (HEIGHT - TOP - BOTTOM) * inside / ERROR_DECADES;
}

static void grid(FILE *f)
{
    for (int d = 1; d <= STEP_DECADES + 1; d++) {
        const double x = x_of(pow(10, -d));
        fprintf(f, "<line x1='%.1f' y1='%d' x2='%.1f' y2='%d' stroke='#e4e4e4'/>\n", x, TOP, x,
                HEIGHT - BOTTOM);
        if (d % 2 == 1)
            fprintf(f,
                    "<text x='%.1f' y='%d' text-anchor='middle'>10<tspan dy='-5' "
                    "font-size='9'>-%d</tspan></text>\n",
                    x, HEIGHT - BOTTOM + 20, d);
    }
    for (int d = ERROR_TOP; d >= ERROR_TOP - ERROR_DECADES; d--) {
        const double y = y_of(pow(10, d));
        fprintf(f, "<line x1='%d' y1='%.1f' x2='%d' y2='%.1f' stroke='#e4e4e4'/>\n", LEFT, y,
                WIDTH - RIGHT, y);
        if (d % 2 == 0)
            fprintf(f,
                    "<text x='%d' y='%.1f' text-anchor='end'>10<tspan dy='-5' "
                    "font-size='9'>%d</tspan></text>\n",
                    LEFT - 10, y + 4, d);
    }
    fprintf(f, "<rect x='%d' y='%d' width='%d' height='%d' fill='none' stroke='#666'/>\n", LEFT,
            TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
}

static void curve(FILE *f, const struct sweep *s, enum sweep_method m)
{
    fprintf(f,
            "<polyline fill='none' stroke='%s' stroke-width='2.2' stroke-dasharray='%s' points='",
            colours[m], dashes[m]);
    for (int i = 0; i < SWEEP_STEPS; i++)
        fprintf(f, "%.1f,%.1f ", x_of(s->step[i]), y_of(s->error[m][i]));
    fprintf(f, "'/>\n");
}

static void legend(FILE *f)
{
    for (enum sweep_method m = 0; m < SWEEP_METHODS; m++) {
        const int x = LEFT + 240 * (int)m, y = TOP - 14;
        fprintf(f,
                "<line x1='%d' y1='%d' x2='%d' y2='%d' stroke='%s' stroke-width='2.2' "
                "stroke-dasharray='%s'/>\n",
                x, y - 4, x + 30, y - 4, colours[m], dashes[m]);
        fprintf(f, "<text x='%d' y='%d'>%s</text>\n", x + 36, y, sweep_names[m]);
    }
}

void sweep_svg(const struct sweep *s, FILE *f)
{
    fprintf(f,
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d' "
            "font-family='sans-serif' "
            "font-size='13' fill='#222'>\n<rect width='%d' height='%d' fill='white'/>\n",
            WIDTH, HEIGHT, WIDTH, HEIGHT, WIDTH, HEIGHT);
    fprintf(f,
            "<text x='%d' y='26' font-size='16' font-weight='bold'>%s: error of numerical "
            "derivatives over the step size</text>\n",
            LEFT, s->op);
    grid(f);
    for (enum sweep_method m = 0; m < SWEEP_METHODS; m++)
        curve(f, s, m);
    legend(f);
    fprintf(f, "<text x='%d' y='%d' text-anchor='middle'>step h  (%s, %zu coordinates)</text>\n",
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, s->sizes, s->coordinates);
    fprintf(f,
            "<text transform='translate(22 %d) rotate(-90)' text-anchor='middle'>norm-wise "
            "relative error</text>\n</svg>\n",
            (TOP + HEIGHT - BOTTOM) / 2);
}
