/* lens_print.c: see lens_print.h. */
#include "train/lens/lens_print.h"
#include "base/printable.h"
#include "train/lens/inspection_json.h"
#include <math.h>
#include <stdlib.h>

enum { LONGEST = 16 /* columns of a token */, GUESSED = 8 /* of one among others */ };

/* A token in `columns` columns, and a blank. */
static void put_token(FILE *f, const struct inspection *r, uint32_t id, size_t columns)
{
    char shown[PRINTABLE_MAX];
    size_t n;
    const char *bytes = tokenizer_bytes(r->file.tokenizer, id, &n);
    const size_t used = printable(shown, bytes, n, columns);
    fprintf(f, "%s%*s", shown, (int)(columns - used + 1), "");
}

/* "token* 12%" in `columns`, marked where it is the one that came. */
static void put_guess(FILE *f, const struct terminal *t, const struct inspection *r, struct guess g,
                      bool came, size_t columns)
{
    const bool colours = t->colours != TERMINAL_PLAIN;
    char shown[PRINTABLE_MAX], percent[8];
    size_t n;
    const char *bytes = tokenizer_bytes(r->file.tokenizer, g.id, &n);
    const size_t used = printable(shown, bytes, n, GUESSED);
    const size_t digits = (size_t)snprintf(percent, sizeof percent, "%.0f%%", 100 * g.p),
                 star = came && !colours;
    fprintf(f, "%s%s%s%s %s%*s", came && colours ? "\033[1;4m" : "", shown,
            came && colours ? "\033[0m" : "", star ? "*" : "", percent,
            (int)(columns - used - star - digits - 1), "");
}

static size_t longest_token(const struct inspection *r)
{
    size_t most = 4;
    for (size_t t = 0; t < r->T; t++) {
        char shown[PRINTABLE_MAX];
        size_t n;
        const char *bytes = tokenizer_bytes(r->file.tokenizer, r->ids[t], &n);
        const size_t used = printable(shown, bytes, n, LONGEST);
        most = used > most ? used : most;
    }
    return most;
}

/* Columns of a guess, with a gap. */
static size_t guess_columns(size_t token)
{
    return (token < GUESSED ? token : GUESSED) + sizeof "* 100%  " - 1;
}

static int memory(struct guess **top, float **losses, const struct inspection *r, size_t k,
                  struct error *err)
{
    *top = malloc(r->T * k * sizeof **top);
    *losses = malloc(r->T * sizeof **losses);
    if (*top && *losses)
        return 0;
    free(*top);
    free(*losses);
    return fail(err, "no memory for %zu x %zu tokens", r->T, k);
}

int lens_print_predictions(FILE *f, const struct terminal *t, struct inspection *r, size_t k,
                           struct error *err)
{
    struct guess *top;
    float *losses;
    if (memory(&top, &losses, r, k, err))
        return -1;
    inspection_guesses(top, losses, r, r->file.model.tensors->config.n_layer, k);
    const size_t token = longest_token(r), guess = guess_columns(token),
                 begin = 6 + 2 * (token + 1) + 16;
    const size_t fit = t->width > begin ? (t->width - begin) / guess : 0, shown = fit < 1   ? 1
                                                                                  : fit < k ? fit
                                                                                            : k;
    fprintf(f, "%4s  %-*s %-*s %7s %6s  likeliest next (%s: the one that came)\n", "", (int)token,
            "token", (int)token, "next", "loss", "p",
            t->colours == TERMINAL_PLAIN ? "*" : "underlined");
    for (size_t i = 0; i < r->T; i++) {
        fprintf(f, "%4zu  ", i);
        put_token(f, r, r->ids[i], token);
        if (i + 1 < r->T) {
            put_token(f, r, r->ids[i + 1], token);
            fprintf(f, "%7.3f %5.1f%%  ", losses[i], 100 * exp(-losses[i]));
        } else
            fprintf(f, "%-*s %7s %6s  ", (int)token, "", "", "");
        for (size_t j = 0; j < shown; j++)
            put_guess(f, t, r, top[i * k + j], i + 1 < r->T && top[i * k + j].id == r->ids[i + 1],
                      guess);
        fputc('\n', f);
    }
    if (r->T > 1)
        fprintf(f, "%4s  %-*s %-*s %7.3f %5.1f%%\n", "", (int)token, "mean", (int)token, "",
                inspection_mean_loss(losses, r->T), 100 * exp(-inspection_mean_loss(losses, r->T)));
    free(top);
    free(losses);
    return 0;
}

/* The depths that fit, evenly spread: the last is the model itself. */
static size_t depth_of(size_t column, size_t columns, size_t L)
{
    return columns > 1 ? column * L / (columns - 1) : L;
}

int lens_print_depths(FILE *f, const struct terminal *t, struct inspection *r, struct error *err)
{
    const size_t L = r->file.model.tensors->config.n_layer, token = longest_token(r),
                 guess = guess_columns(token), begin = 6 + token + 1;
    const size_t fit = t->width > begin + guess ? (t->width - begin) / guess : 1,
                 columns = L + 1 < fit ? L + 1 : fit;
    struct guess *top; /* (columns, T) */
    float *losses;
    double *mean = malloc(columns * sizeof *mean);
    if (!mean || memory(&top, &losses, r, columns, err)) {
        free(mean);
        return mean ? -1 : fail(err, "no memory for %zu depths", columns);
    }
    char name[32];
    fprintf(f, "%4s  %-*s ", "", (int)token, "token");
    for (size_t c = 0; c < columns; c++) {
        inspection_guesses(top + c * r->T, losses, r, depth_of(c, columns, L), 1);
        mean[c] = inspection_mean_loss(losses, r->T);
        fprintf(f, "%-*s", (int)guess, inspection_depth_name(name, depth_of(c, columns, L)));
    }
    fputc('\n', f);
    for (size_t i = 0; i < r->T; i++) {
        fprintf(f, "%4zu  ", i);
        put_token(f, r, r->ids[i], token);
        for (size_t c = 0; c < columns; c++)
            put_guess(f, t, r, top[c * r->T + i],
                      i + 1 < r->T && top[c * r->T + i].id == r->ids[i + 1], guess);
        fputc('\n', f);
    }
    fprintf(f, "%4s  %-*s ", "", (int)token, "loss");
    for (size_t c = 0; c < columns && r->T > 1; c++)
        fprintf(f, "%-*.3f", (int)guess, mean[c]);
    fputc('\n', f);
    free(mean);
    free(top);
    free(losses);
    return 0;
}

void lens_print_gradient(FILE *f, const struct terminal *t, struct inspection *r, size_t position)
{
    const size_t C = r->file.model.tensors->config.n_embd, token = longest_token(r),
                 begin = 6 + token + 1 + 11;
    const size_t room = t->width > begin + 8 ? t->width - begin - 1 : 8;
    double most = 0;
    size_t zeros = 0;
    for (size_t i = 0; i < r->T; i++)
        most = fmax(most, inspection_gradient_norm(r, i));
    for (size_t i = 0; i <= position; i++) {
        const double norm = inspection_gradient_norm(r, i);
        fprintf(f, "%4zu  ", i);
        put_token(f, r, r->ids[i], token);
        fprintf(f, "%10.3e ", norm);
        for (size_t c = 0; c < (size_t)lrint(inspection_gradient_bar(norm, most) * (double)room);
             c++)
            fputc('#', f);
        fputc('\n', f);
    }
    for (size_t i = (position + 1) * C; i < r->T * C; i++)
        zeros += r->gradient[i] == 0;
    if (position + 1 < r->T)
        fprintf(f, "%4zu to %zu: %zu of %zu elements are exactly zero\n", position + 1, r->T - 1,
                zeros, (r->T - 1 - position) * C);
}
