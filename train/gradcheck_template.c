/* gradcheck_template.c: handgrad gradcheck --template OP: a C file with the forward written out and the backward to fill in. */
#include "diagnosis.h"
#include "gradcheck_report.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *forward;  /* the whole function */
    const char *backward; /* its signature */
} texts[OPS] = {
    [OP_EMBEDDING] =
        {"void embedding_forward(real *x, const uint32_t *ids, const real *wte, const real *wpe, size_t first, size_t B, size_t "
         "T,\n"
         "                       size_t C)\n"
         "{\n"
         "    for (size_t n = 0; n < B * T; n++)\n"
         "        for (size_t i = 0; i < C; i++)\n"
         "            x[n * C + i] = wte[ids[n] * C + i] + wpe[(first + n % T) * C + i];\n"
         "}\n",
         "void embedding_backward(real *dwte, real *dwpe, const real *dx, const uint32_t *ids, size_t B, size_t T, size_t C)\n"},
    [OP_LINEAR] = {"void linear_forward(real *y, const real *x, const real *w, const real *bias, size_t N, size_t I, size_t O)\n"
                   "{\n"
                   "    for (size_t n = 0; n < N; n++)\n"
                   "        for (size_t o = 0; o < O; o++) {\n"
                   "            real sum = bias ? bias[o] : 0;\n"
                   "            for (size_t i = 0; i < I; i++)\n"
                   "                sum += x[n * I + i] * w[i * O + o];\n"
                   "            y[n * O + o] = sum;\n"
                   "        }\n"
                   "}\n",
                   "void linear_backward(real *dx, real *dw, real *dbias, const real *dy, const real *x, const real *w, size_t "
                   "N, size_t I,\n"
                   "                     size_t O)\n"},
    [OP_LAYERNORM] =
        {"void layernorm_forward(real *y, real *mean, real *rstd, const real *x, const real *gain, const real *bias, size_t N,\n"
         "                       size_t C)\n"
         "{\n"
         "    for (size_t n = 0; n < N; n++) {\n"
         "        const real *xn = x + n * C;\n"
         "        real sum = 0, squares = 0;\n"
         "        for (size_t i = 0; i < C; i++)\n"
         "            sum += xn[i];\n"
         "        mean[n] = sum / C;\n"
         "        for (size_t i = 0; i < C; i++)\n"
         "            squares += (xn[i] - mean[n]) * (xn[i] - mean[n]);\n"
         "        rstd[n] = 1 / sqrt(squares / C + 1e-5);\n"
         "        for (size_t i = 0; i < C; i++)\n"
         "            y[n * C + i] = gain[i] * ((xn[i] - mean[n]) * rstd[n]) + (bias ? bias[i] : 0);\n"
         "    }\n"
         "}\n",
         "void layernorm_backward(real *dx, real *dgain, real *dbias, const real *dy, const real *x, const real *mean,\n"
         "                        const real *rstd, const real *gain, size_t N, size_t C)\n"},
    [OP_GELU_TANH] = {"/* kind is GELU_TANH when this file is diagnosed as gelu_tanh, GELU_ERF as gelu_erf. */\n"
                      "void gelu_forward(real *y, const real *x, size_t n, enum gelu_kind kind)\n"
                      "{\n"
                      "    for (size_t i = 0; i < n; i++) {\n"
                      "        const real u = sqrt(2 / M_PI) * (x[i] + 0.044715 * x[i] * x[i] * x[i]);\n"
                      "        y[i] = x[i] * (kind == GELU_ERF ? erfc(-x[i] * M_SQRT1_2) / 2 : 1 / (1 + exp(-2 * u)));\n"
                      "    }\n"
                      "}\n",
                      "void gelu_backward(real *dx, const real *dy, const real *x, size_t n, enum gelu_kind kind)\n"},
    [OP_SOFTMAX] = {"void softmax_forward(real *p, const real *x, size_t N, size_t C)\n"
                    "{\n"
                    "    for (size_t n = 0; n < N; n++) {\n"
                    "        real max = x[n * C], sum = 0;\n"
                    "        for (size_t i = 1; i < C; i++)\n"
                    "            max = fmax(max, x[n * C + i]);\n"
                    "        for (size_t i = 0; i < C; i++)\n"
                    "            sum += p[n * C + i] = exp(x[n * C + i] - max);\n"
                    "        for (size_t i = 0; i < C; i++)\n"
                    "            p[n * C + i] /= sum;\n"
                    "    }\n"
                    "}\n",
                    "void softmax_backward(real *dx, const real *dp, const real *p, size_t N, size_t C)\n"},
    [OP_DROPOUT] =
        {"void dropout_forward(real *y, const real *x, size_t N, size_t T, size_t C, const struct dropout *d, uint32_t site)\n"
         "{\n"
         "    real mask[C];\n"
         "    for (size_t n = 0; n < N; n++) {\n"
         "        dropout_mask(mask, d, site, d->first_row * T + n, 0, C);\n"
         "        for (size_t i = 0; i < C; i++)\n"
         "            y[n * C + i] = x[n * C + i] * mask[i];\n"
         "    }\n"
         "}\n",
         "void dropout_backward(real *dx, const real *dy, size_t N, size_t T, size_t C, const struct dropout *d, uint32_t "
         "site)\n"},
    [OP_RESIDUAL] = {"void residual_forward(real *y, const real *x, const real *branch, size_t N, size_t T, size_t C, const "
                     "struct dropout *d,\n"
                     "                      uint32_t site)\n"
                     "{\n"
                     "    real mask[C];\n"
                     "    for (size_t n = 0; n < N; n++) {\n"
                     "        dropout_mask(mask, d, site, d->first_row * T + n, 0, C);\n"
                     "        for (size_t i = 0; i < C; i++)\n"
                     "            y[n * C + i] = x[n * C + i] + branch[n * C + i] * mask[i];\n"
                     "    }\n"
                     "}\n",
                     "void residual_backward(real *dx, real *dbranch, const real *dy, size_t N, size_t T, size_t C, const struct "
                     "dropout *d,\n"
                     "                       uint32_t site)\n"},
    [OP_ATTENTION] = {"void attention_forward(real *y, real *lse, const real *qkv, size_t B, size_t T, size_t C, size_t H,\n"
                      "                       const struct dropout *d, uint32_t site)\n"
                      "{\n"
                      "    const size_t size = C / H;\n"
                      "    real p[T], mask[T];\n"
                      "    for (size_t bh = 0; bh < B * H; bh++) {\n"
                      "        const real *q = qkv + bh / H * T * 3 * C + bh % H * size, *k = q + C, *v = q + 2 * C;\n"
                      "        for (size_t i = 0; i < T; i++) {\n"
                      "            real sum = 0, *yi = y + (bh / H * T + i) * C + bh % H * size;\n"
                      "            for (size_t j = 0; j <= i; j++) { /* causal: keys up to the query's own position */\n"
                      "                real s = 0;\n"
                      "                for (size_t c = 0; c < size; c++)\n"
                      "                    s += q[i * 3 * C + c] * k[j * 3 * C + c];\n"
                      "                sum += p[j] = exp(s / sqrt(size));\n"
                      "            }\n"
                      "            lse[bh * T + i] = log(sum);\n"
                      "            if (d)\n"
                      "                dropout_mask(mask, d, site, (d->first_row * H + bh) * T + i, 0, T);\n"
                      "            for (size_t c = 0; c < size; c++) {\n"
                      "                yi[c] = 0;\n"
                      "                for (size_t j = 0; j <= i; j++)\n"
                      "                    yi[c] += p[j] / sum * (d ? mask[j] : 1) * v[j * 3 * C + c];\n"
                      "            }\n"
                      "        }\n"
                      "    }\n"
                      "}\n",
                      "void attention_backward(real *dqkv, const real *dy, const real *qkv, const real *y, const real *lse, "
                      "size_t B, size_t T,\n"
                      "                        size_t C, size_t H, const struct dropout *d, uint32_t site)\n"},
    [OP_MLP] =
        {"/* y (N,O) = x (N,I) w (I,O) + bias. */\n"
         "static void product(real *y, const real *x, const real *w, const real *bias, size_t N, size_t I, size_t O)\n"
         "{\n"
         "    for (size_t n = 0; n < N; n++)\n"
         "        for (size_t o = 0; o < O; o++) {\n"
         "            y[n * O + o] = bias ? bias[o] : 0;\n"
         "            for (size_t i = 0; i < I; i++)\n"
         "                y[n * O + o] += x[n * I + i] * w[i * O + o];\n"
         "        }\n"
         "}\n"
         "\n"
         "void mlp_forward(real *y, real *fc, real *act, const real *x, const real *w_fc, const real *b_fc, const real *w_proj,\n"
         "                 const real *b_proj, size_t N, size_t C, enum gelu_kind kind)\n"
         "{\n"
         "    product(fc, x, w_fc, b_fc, N, C, 4 * C);\n"
         "    for (size_t i = 0; i < N * 4 * C; i++) {\n"
         "        const real u = sqrt(2 / M_PI) * (fc[i] + 0.044715 * fc[i] * fc[i] * fc[i]);\n"
         "        act[i] = fc[i] * (kind == GELU_ERF ? erfc(-fc[i] * M_SQRT1_2) / 2 : 1 / (1 + exp(-2 * u)));\n"
         "    }\n"
         "    product(y, act, w_proj, b_proj, N, 4 * C, C);\n"
         "}\n",
         "void mlp_backward(real *dx, real *dw_fc, real *db_fc, real *dw_proj, real *db_proj, real *dfc, real *dact, const real "
         "*dy,\n"
         "                  const real *fc, const real *act, const real *x, const real *w_fc, const real *w_proj, size_t N, "
         "size_t C,\n"
         "                  enum gelu_kind kind)\n"},
    [OP_LOSS] = {"void loss_forward(real *losses, real *logits, const real *x, const real *wte, const uint32_t *targets, size_t "
                 "N, size_t C,\n"
                 "                  size_t V, size_t padded)\n"
                 "{\n"
                 "    for (size_t n = 0; n < N; n++) {\n"
                 "        real *z = logits + n * padded, max = -INFINITY, sum = 0;\n"
                 "        for (size_t v = 0; v < V; v++) { /* rows of wte from V on take no part */\n"
                 "            z[v] = 0;\n"
                 "            for (size_t i = 0; i < C; i++)\n"
                 "                z[v] += x[n * C + i] * wte[v * C + i];\n"
                 "            max = fmax(max, z[v]);\n"
                 "        }\n"
                 "        for (size_t v = 0; v < V; v++)\n"
                 "            sum += exp(z[v] - max);\n"
                 "        losses[n] = max + log(sum) - z[targets[n]];\n"
                 "    }\n"
                 "}\n",
                 "void loss_backward(real *dx, real *dwte, real *losses, real *logits, const real *dlosses, const real *x, const "
                 "real *wte,\n"
                 "                   const uint32_t *targets, size_t N, size_t C, size_t V, size_t padded)\n"},
};

static const char *role_name(enum role role)
{
    static const char *const names[] = {"input", "parameter", "output", "saved", "scratch"};
    return names[role];
}

static void write_template(FILE *f, enum op op, const char *output)
{
    const enum op text = op == OP_GELU_ERF ? OP_GELU_TANH : op;
    const char *file = output ? output : "my.c", *slash = strrchr(file, '/');
    file = slash ? slash + 1 : file;
    const char *dot = strrchr(file, '.');
    const int stem = (int)(dot ? dot - file : (ptrdiff_t)strlen(file));
    fprintf(f, "/* %s: a backward of your own for %s.\n *\n", file, op_info[op].name);
    fprintf(f, " *     cc -O2 -shared -fPIC %s -o %.*s.so -lm\n *     handgrad gradcheck --diagnose %s ./%.*s.so\n *\n", file,
            stem, file, op_info[op].name, stem, file);
    for (size_t k = 0; k < op_info[op].count; k++) {
        const struct op_tensor *t = &op_info[op].tensors[k];
        fprintf(f, " *     %-9s (%s) %s%s\n", t->name, t->shape, role_name(t->role), t->is_bias ? ", or NULL" : "");
    }
    fprintf(
        f,
        " *\n * with N = B T. The backward adds (+=) into the gradients of inputs and parameters. Without the forward, only the\n"
        " * backward is diagnosed.\n */\n");
    fprintf(f, "#include <handgrad_op.h>\n#include <math.h>\n\n%s\n%s{\n    /* Yours. */\n}\n", texts[text].forward,
            texts[text].backward);
}

int gradcheck_write_template(const struct gradcheck_options *o, struct error *err)
{
    if (!texts[o->template == OP_GELU_ERF ? OP_GELU_TANH : o->template].forward)
        return fail(err, "%s: a composition; there are templates for its parts", op_info[o->template].name), 1;
    if (!o->output) {
        write_template(stdout, o->template, NULL);
        return 0;
    }
    FILE *f = fopen(o->output, "wx"); /* never over a file that somebody has worked on */
    if (!f)
        return fail(err, "%s: %s", o->output, strerror(errno)), 1;
    write_template(f, o->template, o->output);
    if (ferror(f) | fclose(f))
        return fail(err, "%s: %s", o->output, strerror(errno)), 1;
    return 0;
}
