/* inspection_json.c: see reading_json.h. */
#include "train/lens/inspection_json.h"
#include "base/printable.h"
#include "base/utf8.h"
#include <math.h>
#include <stdlib.h>

static void number(FILE *f, double x)
{
    if (isfinite(x))
        fprintf(f, "%.9g", x);
    else
        fputs("null", f);
}

static void string(FILE *f, const char *bytes, size_t n)
{
    fputc('"', f);
    for (size_t at = 0; at < n;) {
        uint32_t c;
        const int length = utf8_decode(bytes + at, n - at, &c);
        if (length <= 0) {
            fputs("\\ufffd", f);
            at++;
            continue;
        }
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x2028 || c == 0x2029)
            fprintf(f, "\\u%04x", c);
        else
            fwrite(bytes + at, 1, (size_t)length, f);
        at += (size_t)length;
    }
    fputc('"', f);
}

static void token(FILE *f, const struct inspection *r, uint32_t id)
{
    size_t n;
    char shown[PRINTABLE_MAX];
    const char *bytes = tokenizer_bytes(r->file.tokenizer, id, &n);
    fprintf(f, "\"id\": %u, \"text\": ", id);
    string(f, bytes, n);
    fputs(", \"shown\": \"", f);
    printable(shown, bytes, n, PRINTABLE_MAX);
    for (const char *p = shown; *p; p++)
        fprintf(f, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
    fputc('"', f);
}

const char *inspection_depth_name(char name[32], size_t depth)
{
    snprintf(name, 32, depth ? "h.%zu" : "embedding", depth - 1);
    return name;
}

double inspection_mean_loss(const float *losses, size_t T)
{
    double sum = 0;
    size_t n = 0;
    for (size_t t = 0; t < T; t++)
        if (!isnan(losses[t])) {
            sum += losses[t];
            n++;
        }
    return n ? sum / (double)n : NAN;
}

static void depth_json(FILE *f, struct inspection *r, struct guess *top, float *losses,
                       size_t depth, size_t k)
{
    char name[32];
    inspection_guesses(top, losses, r, depth, k);
    fprintf(f, "%s{\"after\": \"%s\", \"loss\": ", depth ? ", " : "",
            inspection_depth_name(name, depth));
    number(f, inspection_mean_loss(losses, r->T));
    fputs(", \"positions\": [", f);
    for (size_t t = 0; t < r->T; t++) {
        fputs(t ? ", {\"loss\": " : "{\"loss\": ", f);
        number(f, losses[t]);
        fputs(", \"top\": [", f);
        for (size_t i = 0; i < k; i++) {
            fputs(i ? ", {" : "{", f);
            token(f, r, top[t * k + i].id);
            fputs(", \"p\": ", f);
            number(f, top[t * k + i].p);
            fputc('}', f);
        }
        fputs("]}", f);
    }
    fputs("]}", f);
}

int inspection_json_begin(FILE *f, struct inspection *r, size_t k, struct error *err)
{
    const struct model_config *c = &r->file.model.tensors->config;
    struct guess *top = malloc(r->T * k * sizeof *top);
    float *losses = malloc(r->T * sizeof *losses);
    const int status = top && losses ? 0 : fail(err, "no memory for %zu x %zu tokens", r->T, k);
    if (status == 0) {
        fprintf(f,
                "{\"step\": %llu, \"n_layer\": %zu, \"n_head\": %zu, \"n_embd\": %zu, "
                "\"block_size\": %zu, \"tokens\": [",
                (unsigned long long)r->file.state.step, c->n_layer, c->n_head, c->n_embd,
                c->block_size);
        for (size_t t = 0; t < r->T; t++) {
            fputs(t ? ", {" : "{", f);
            token(f, r, r->ids[t]);
            fputc('}', f);
        }
        fputs("], \"depths\": [", f);
        for (size_t depth = 0; depth <= c->n_layer; depth++)
            depth_json(f, r, top, losses, depth, k);
        fputs("]", f);
    }
    free(top);
    free(losses);
    return status;
}

static void rows(FILE *f, const float *x, size_t n, size_t m)
{
    fputc('[', f);
    for (size_t i = 0; i < n; i++) {
        fputs(i ? ", [" : "[", f);
        for (size_t j = 0; j < m; j++) {
            if (j)
                fputs(", ", f);
            number(f, x[i * m + j]);
        }
        fputc(']', f);
    }
    fputc(']', f);
}

void inspection_json_attention(FILE *f, const struct inspection *r, size_t layer, size_t head)
{
    fprintf(f, "{\"layer\": %zu, \"head\": %zu, \"weights\": ", layer, head);
    rows(f, r->weights + head * r->T * r->T, r->T, r->T);
    fputc('}', f);
}

void inspection_json_gradient(FILE *f, struct inspection *r, size_t position, bool vectors)
{
    inspection_gradient(r, position);
    fprintf(f, "{\"position\": %zu, \"loss\": ", position);
    number(f, r->losses[position]);
    fputs(", \"norms\": [", f);
    for (size_t t = 0; t < r->T; t++) {
        if (t)
            fputs(", ", f);
        number(f, inspection_gradient_norm(r, t));
    }
    fputc(']', f);
    if (vectors) {
        fputs(", \"vectors\": ", f);
        rows(f, r->gradient, r->T, r->file.model.tensors->config.n_embd);
    }
    fputc('}', f);
}
