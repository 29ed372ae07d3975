/* lens_print.c: see lens_views.h. */
#include "base/minmax.h"
#include "train/lens/lens_views.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOKEN_COLUMNS = 16,    /* of a token, at most */
    PREDICTION_COLUMNS = 8 /* of a predicted one, without its probability */
};

/* A token in `columns` columns, and a space. */
static void put_token(FILE *f, const struct inspection *in, uint32_t id, size_t columns)
{
    char shown[PRINTABLE_MAX];
    const size_t used = inspection_token(shown, in, id, columns);
    fprintf(f, "%s%*s", shown, (int)(columns - used + 1), "");
}

/* "token 12%" in `columns` columns, marked if it is the token that follows position t. */
static void put_prediction(FILE *f, const struct terminal *terminal, const struct inspection *in,
                           struct prediction p, size_t t, size_t columns)
{
    const bool right = t + 1 < in->T && p.id == in->ids[t + 1],
               underline = right && terminal->colours != TERMINAL_PLAIN, star = right && !underline;
    char shown[PRINTABLE_MAX], percent[8];
    const size_t used = inspection_token(shown, in, p.id, PREDICTION_COLUMNS),
                 digits = snprintf(percent, sizeof percent, "%.0f%%", 100 * p.p);
    fprintf(f, "%s%s%s%s %s%*s", underline ? "\033[1;4m" : "", shown, underline ? "\033[0m" : "",
            star ? "*" : "", percent, (int)(columns - used - star - digits - 1), "");
}

static int longest_token(const struct inspection *in)
{
    size_t longest = 4;
    for (size_t t = 0; t < in->T; t++) {
        char shown[PRINTABLE_MAX];
        const size_t used = inspection_token(shown, in, in->ids[t], TOKEN_COLUMNS);
        longest = size_max(longest, used);
    }
    return longest;
}

/* Columns of a prediction and a gap, and how many of at most `wanted` fit on a line after `used`
 * columns: at least one. */
static size_t prediction_columns(const struct terminal *t, size_t longest, size_t used,
                                 size_t wanted, size_t *fitting)
{
    const size_t columns = size_min(longest, PREDICTION_COLUMNS) + sizeof "* 100%  " - 1,
                 n = t->width > used + columns ? (t->width - used) / columns : 1;
    *fitting = size_min(n, wanted);
    return columns;
}

int lens_print_predictions(FILE *f, const struct terminal *t, struct inspection *in, size_t k,
                           struct error *err)
{
    const int token = longest_token(in);
    size_t fitting;
    const int columns = prediction_columns(t, token, 6 + 2 * (token + 1) + 16, k, &fitting);
    if (inspection_predict(in, in->config->n_layer, k, err))
        return -1;
    fprintf(f, "%4s  %-*s %-*s %7s %6s  most likely next (%s: the one that follows)\n", "", token,
            "token", token, "next", "loss", "p", t->colours == TERMINAL_PLAIN ? "*" : "underlined");
    for (size_t i = 0; i < in->T; i++) {
        fprintf(f, "%4zu  ", i);
        put_token(f, in, in->ids[i], token);
        if (i + 1 < in->T) {
            put_token(f, in, in->ids[i + 1], token);
            fprintf(f, "%7.3f %5.1f%%  ", in->losses[i], 100 * exp(-in->losses[i]));
        } else
            fprintf(f, "%-*s %7s %6s  ", token, "", "", "");
        for (size_t j = 0; j < fitting; j++)
            put_prediction(f, t, in, in->top[i * k + j], i, columns);
        fputc('\n', f);
    }
    if (in->T > 1)
        fprintf(f, "%4s  %-*s %-*s %7.3f %5.1f%%\n", "", token, "mean", token, "", in->mean_loss,
                100 * exp(-in->mean_loss));
    return 0;
}

int lens_print_depths(FILE *f, const struct terminal *t, struct inspection *in, struct error *err)
{
    const size_t L = in->config->n_layer, T = in->T;
    const int token = longest_token(in);
    size_t n; /* depths that fit: evenly spaced, the last is the whole model */
    const int columns = prediction_columns(t, token, 6 + token + 1, L + 1, &n);
    struct prediction *top = malloc(n * T * sizeof *top); /* (n,T) */
    double *mean = malloc(n * sizeof *mean);
    int status = top && mean ? 0 : fail(err, "no memory for %zu depths of %zu tokens", n, T);
    if (status == 0)
        fprintf(f, "%4s  %-*s ", "", token, "token");
    for (size_t i = 0; i < n && status == 0; i++) {
        char name[32];
        const size_t depth = n > 1 ? i * L / (n - 1) : L;
        status = inspection_predict(in, depth, 1, err);
        if (status == 0)
            memcpy(top + i * T, in->top, T * sizeof *top);
        mean[i] = in->mean_loss;
        fprintf(f, "%-*s", columns, inspection_depth_name(name, depth));
    }
    for (size_t i = 0; i < T && status == 0; i++) {
        fprintf(f, "\n%4zu  ", i);
        put_token(f, in, in->ids[i], token);
        for (size_t c = 0; c < n; c++)
            put_prediction(f, t, in, top[c * T + i], i, columns);
    }
    if (status == 0)
        fprintf(f, "\n%4s  %-*s ", "", token, "loss");
    for (size_t c = 0; c < n && T > 1 && status == 0; c++)
        fprintf(f, "%-*.3f", columns, mean[c]);
    fputc('\n', f);
    free(top);
    free(mean);
    return status;
}

void lens_print_gradient(FILE *f, const struct terminal *t, const struct inspection *in,
                         size_t position)
{
    const size_t later = in->T - position - 1, C = in->config->n_embd, token = longest_token(in),
                 used = 6 + token + 1 + 12,
                 longest = t->width > used + 8 ? t->width - used : 8; /* of a bar */
    size_t zeros = 0;
    for (size_t i = 0; i <= position; i++) {
        fprintf(f, "%4zu  ", i);
        put_token(f, in, in->ids[i], token);
        fprintf(f, "%10.3e ", in->norms[i]);
        for (long c = lrint(inspection_bar(in, i) * longest); c > 0; c--)
            fputc('#', f);
        fputc('\n', f);
    }
    for (size_t i = (position + 1) * C; i < in->T * C; i++)
        zeros += in->gradient[i] == 0;
    if (later)
        fprintf(f, "%4zu to %zu: %zu of %zu elements are exactly zero\n", position + 1, in->T - 1,
                zeros, later * C);
}
