/* gradcheck_template.c: handgrad gradcheck --template OP: a C file with the forward written out and the backward to fill in. A
 * composition's file has the forwards of its parts too, from their own templates. */
#include "train/grade/diagnosis_candidates.h"
#include "train/grade/gradcheck_report.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *forward;  /* the whole function */
    const char *backward; /* its signature */
} texts[OPS] = {
    [OP_EMBEDDING] =
        {"void embedding_forward(real *x, const uint32_t *ids, const real *wte, const real *wpe, "
         "size_t first, size_t B, size_t "
         "T,\n"
         "                       size_t C)\n"
         "{\n"
         "    for (size_t n = 0; n < B * T; n++)\n"
         "        for (size_t i = 0; i < C; i++)\n"
         "            x[n * C + i] = wte[ids[n] * C + i] + wpe[(first + n % T) * C + i];\n"
         "}\n",
         "void embedding_backward(real *dwte, real *dwpe, const real *dx, const uint32_t *ids, "
         "size_t B, size_t T, size_t C)\n"},
    [OP_LINEAR] = {"void linear_forward(real *y, const real *x, const real *w, const real *bias, "
                   "size_t N, size_t I, size_t O)\n"
                   "{\n"
                   "    for (size_t n = 0; n < N; n++)\n"
                   "        for (size_t o = 0; o < O; o++) {\n"
                   "            real sum = bias ? bias[o] : 0;\n"
                   "            for (size_t i = 0; i < I; i++)\n"
                   "                sum += x[n * I + i] * w[i * O + o];\n"
                   "            y[n * O + o] = sum;\n"
                   "        }\n"
                   "}\n",
                   "void linear_backward(real *dx, real *dw, real *dbias, const real *dy, const "
                   "real *x, const real *w, size_t "
                   "N, size_t I,\n"
                   "                     size_t O)\n"},
    [OP_LAYERNORM] =
        {"void layernorm_forward(real *y, real *mean, real *rstd, const real *x, const real *gain, "
         "const real *bias, size_t N,\n"
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
         "            y[n * C + i] = gain[i] * ((xn[i] - mean[n]) * rstd[n]) + (bias ? bias[i] : "
         "0);\n"
         "    }\n"
         "}\n",
         "void layernorm_backward(real *dx, real *dgain, real *dbias, const real *dy, const real "
         "*x, const real *mean,\n"
         "                        const real *rstd, const real *gain, size_t N, size_t C)\n"},
    [OP_GELU_TANH] =
        {"/* kind is GELU_TANH when this file is diagnosed as gelu_tanh, GELU_ERF as gelu_erf. */\n"
         "void gelu_forward(real *y, const real *x, size_t n, enum gelu_kind kind)\n"
         "{\n"
         "    for (size_t i = 0; i < n; i++) {\n"
         "        const real u = sqrt(2 / M_PI) * (x[i] + 0.044715 * x[i] * x[i] * x[i]);\n"
         "        y[i] = x[i] * (kind == GELU_ERF ? erfc(-x[i] * M_SQRT1_2) / 2 : 1 / (1 + exp(-2 "
         "* u)));\n"
         "    }\n"
         "}\n",
         "void gelu_backward(real *dx, const real *dy, const real *x, size_t n, enum gelu_kind "
         "kind)\n"},
    [OP_SOFTMAX] =
        {"void softmax_forward(real *p, const real *x, size_t N, size_t C)\n"
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
    [OP_DROPOUT] = {"void dropout_forward(real *y, const real *x, size_t N, size_t T, size_t C, "
                    "const struct dropout *d, uint32_t site)\n"
                    "{\n"
                    "    real mask[C];\n"
                    "    for (size_t n = 0; n < N; n++) {\n"
                    "        dropout_mask(mask, d, site, d->first_row * T + n, 0, C);\n"
                    "        for (size_t i = 0; i < C; i++)\n"
                    "            y[n * C + i] = x[n * C + i] * mask[i];\n"
                    "    }\n"
                    "}\n",
                    "void dropout_backward(real *dx, const real *dy, size_t N, size_t T, size_t C, "
                    "const struct dropout *d, uint32_t "
                    "site)\n"},
    [OP_RESIDUAL] = {"void residual_forward(real *y, const real *x, const real *branch, size_t N, "
                     "size_t T, size_t C, const "
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
                     "void residual_backward(real *dx, real *dbranch, const real *dy, size_t N, "
                     "size_t T, size_t C, const struct "
                     "dropout *d,\n"
                     "                       uint32_t site)\n"},
    [OP_ATTENTION] =
        {"void attention_forward(real *y, real *lse, const real *qkv, const uint32_t *start, "
         "size_t B, size_t T, "
         "size_t C, size_t H,\n"
         "                       const struct dropout *d, uint32_t site)\n"
         "{\n"
         "    const size_t size = C / H;\n"
         "    real p[T], mask[T];\n"
         "    for (size_t bh = 0; bh < B * H; bh++) {\n"
         "        const real *q = qkv + bh / H * T * 3 * C + bh % H * size, *k = q + C, *v = q + 2 "
         "* C;\n"
         "        for (size_t i = 0; i < T; i++) {\n"
         "            const size_t first = start ? start[bh / H * T + i] : 0; /* of the token's "
         "document */\n"
         "            real sum = 0, *yi = y + (bh / H * T + i) * C + bh % H * size;\n"
         "            for (size_t j = first; j <= i; j++) { /* causal: keys up to the query's own "
         "position */\n"
         "                real s = 0;\n"
         "                for (size_t c = 0; c < size; c++)\n"
         "                    s += q[i * 3 * C + c] * k[j * 3 * C + c];\n"
         "                sum += p[j] = exp(s / sqrt(size));\n"
         "            }\n"
         "            lse[bh * T + i] = log(sum);\n"
         "            if (d)\n"
         "                dropout_mask(mask + first, d, site, (d->first_row * H + bh) * T + i, 0, "
         "T - first);\n"
         "            for (size_t c = 0; c < size; c++) {\n"
         "                yi[c] = 0;\n"
         "                for (size_t j = first; j <= i; j++)\n"
         "                    yi[c] += p[j] / sum * (d ? mask[j] : 1) * v[j * 3 * C + c];\n"
         "            }\n"
         "        }\n"
         "    }\n"
         "}\n",
         "void attention_backward(real *dqkv, const real *dy, const real *qkv, const real *y, "
         "const real *lse, "
         "const uint32_t *start,\n"
         "                        size_t B, size_t T, size_t C, size_t H, const struct dropout *d, "
         "uint32_t site)\n"},
    [OP_MLP] = {"void mlp_forward(real *y, real *fc, real *act, const real *x, const real *w_fc, "
                "const real *b_fc, const real *w_proj,\n"
                "                 const real *b_proj, size_t N, size_t C, enum gelu_kind kind)\n"
                "{\n"
                "    linear_forward(fc, x, w_fc, b_fc, N, C, 4 * C);\n"
                "    gelu_forward(act, fc, N * 4 * C, kind);\n"
                "    linear_forward(y, act, w_proj, b_proj, N, 4 * C, C);\n"
                "}\n",
                "void mlp_backward(real *dx, real *dw_fc, real *db_fc, real *dw_proj, real "
                "*db_proj, real *dfc, real *dact, const real "
                "*dy,\n"
                "                  const real *fc, const real *act, const real *x, const real "
                "*w_fc, const real *w_proj, size_t N, "
                "size_t C,\n"
                "                  enum gelu_kind kind)\n"},
    [OP_LOSS] =
        {"void loss_forward(real *losses, real *logits, const real *x, const real *wte, const "
         "uint32_t *targets, size_t "
         "N, size_t C,\n"
         "                  size_t V, size_t padded)\n"
         "{\n"
         "    for (size_t n = 0; n < N; n++) {\n"
         "        real *z = logits + n * padded, max = -INFINITY, sum = 0;\n"
         "        losses[n] = 0;\n"
         "        if (targets[n] == NO_TARGET)\n"
         "            continue;\n"
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
         "void loss_backward(real *dx, real *dwte, real *losses, real *logits, const real "
         "*dlosses, const real *x, const "
         "real *wte,\n"
         "                   const uint32_t *targets, size_t N, size_t C, size_t V, size_t "
         "padded)\n"},
    [OP_BLOCK] =
        {"void block_forward(real *out, real *ln_1, real *ln_1_mean, real *ln_1_rstd, real *qkv, "
         "real *att, real *lse, real "
         "*mid,\n"
         "                   real *ln_2, real *ln_2_mean, real *ln_2_rstd, real *fc, real *act, "
         "real *branch, const real *x,\n"
         "                   const real *ln_1_weight, const real *ln_1_bias, const real "
         "*attn_c_attn_weight,\n"
         "                   const real *attn_c_attn_bias, const real *attn_c_proj_weight, const "
         "real *attn_c_proj_bias,\n"
         "                   const real *ln_2_weight, const real *ln_2_bias, const real "
         "*mlp_c_fc_weight,\n"
         "                   const real *mlp_c_fc_bias, const real *mlp_c_proj_weight, const real "
         "*mlp_c_proj_bias,\n"
         "                   const uint32_t *start, size_t B, size_t T, size_t C, size_t H, enum "
         "gelu_kind kind, const struct "
         "dropout *d, uint32_t layer)\n"
         "{\n"
         "    const size_t N = B * T;\n"
         "    layernorm_forward(ln_1, ln_1_mean, ln_1_rstd, x, ln_1_weight, ln_1_bias, N, C);\n"
         "    linear_forward(qkv, ln_1, attn_c_attn_weight, attn_c_attn_bias, N, C, 3 * C);\n"
         "    attention_forward(att, lse, qkv, start, B, T, C, H, d, 4 * layer + DROP_ATTENTION);\n"
         "    linear_forward(branch, att, attn_c_proj_weight, attn_c_proj_bias, N, C, C);\n"
         "    residual_forward(mid, x, branch, N, T, C, d, 4 * layer + DROP_ATTENTION_OUTPUT);\n"
         "    layernorm_forward(ln_2, ln_2_mean, ln_2_rstd, mid, ln_2_weight, ln_2_bias, N, C);\n"
         "    mlp_forward(branch, fc, act, ln_2, mlp_c_fc_weight, mlp_c_fc_bias, "
         "mlp_c_proj_weight, mlp_c_proj_bias, N, C, "
         "kind);\n"
         "    residual_forward(out, mid, branch, N, T, C, d, 4 * layer + DROP_MLP_OUTPUT);\n"
         "}\n",
         "void block_backward(real *dx, real *dln_1_weight, real *dln_1_bias, real "
         "*dattn_c_attn_weight, real "
         "*dattn_c_attn_bias,\n"
         "                    real *dattn_c_proj_weight, real *dattn_c_proj_bias, real "
         "*dln_2_weight, real *dln_2_bias,\n"
         "                    real *dmlp_c_fc_weight, real *dmlp_c_fc_bias, real "
         "*dmlp_c_proj_weight, real *dmlp_c_proj_bias,\n"
         "                    real *dmid, real *dbranch, real *dln, real *datt, real *dqkv, real "
         "*dfc, real *dact,\n"
         "                    const real *dout, const real *ln_1, const real *ln_1_mean, const "
         "real *ln_1_rstd, const real "
         "*qkv,\n"
         "                    const real *att, const real *lse, const real *mid, const real *ln_2, "
         "const real *ln_2_mean,\n"
         "                    const real *ln_2_rstd, const real *fc, const real *act, const real "
         "*x, const real *ln_1_weight,\n"
         "                    const real *attn_c_attn_weight, const real *attn_c_proj_weight, "
         "const real *ln_2_weight,\n"
         "                    const real *mlp_c_fc_weight, const real *mlp_c_proj_weight, const "
         "uint32_t *start, size_t B, "
         "size_t T,\n"
         "                    size_t C, size_t H,\n"
         "                    enum gelu_kind kind, const struct dropout *d, uint32_t layer)\n"},
};

static enum op text_of(enum op op)
{
    return op == OP_GELU_ERF ? OP_GELU_TANH : op;
}

static const char *role_name(enum role role)
{
    static const char *const names[] = {"input", "parameter", "output", "saved", "scratch"};
    return names[role];
}

static void write_head(FILE *f, enum op op, const char *output)
{
    const char *file = output ? output : "my.c", *slash = strrchr(file, '/');
    file = slash ? slash + 1 : file;
    const char *dot = strrchr(file, '.');
    const int stem = (int)(dot ? dot - file : (ptrdiff_t)strlen(file));
    fprintf(f, "/* %s: a backward of your own for %s.\n *\n", file, op_info[op].name);
    fprintf(f,
            " *     cc -O2 -shared -fPIC %s -o %.*s.so -lm\n *     handgrad gradcheck --diagnose "
            "%s ./%.*s.so\n *\n",
            file, stem, file, op_info[op].name, stem, file);
    for (size_t k = 0; k < op_info[op].count; k++) {
        const struct op_tensor *t = &op_info[op].tensors[k];
        char name[OP_NAME_MAX];
        op_argument(name, t);
        fprintf(f, " *     %-*s (%s) %s%s\n", op == OP_BLOCK ? 18 : 9, name, t->shape,
                role_name(t->role), t->is_bias ? ", or NULL" : "");
    }
    fprintf(f, " *\n * with N = B T. The backward adds (+=) into the gradients of inputs and "
               "parameters. Without the forward, only the\n"
               " * backward is diagnosed.\n */\n");
    fprintf(f, "#include <handgrad_op.h>\n#include <math.h>\n\n");
}

/* The forwards that a composition's own calls; each function once, inner ones first. */
static void write_parts(FILE *f, enum op op)
{
    bool written[OPS] = {false};
    for (int nested = 1; nested >= 0; nested--) /* mlp's own parts before mlp */
        for (unsigned part = 0; part < OP_PARTS; part++) {
            const enum op text = text_of(op_part_info[part].op);
            if (!op_has_part(op, part) || op_has_part(OP_MLP, part) != nested || written[text] ||
                text == OP_DROPOUT)
                continue;
            written[text] = true;
            fprintf(f, "%s\n", texts[text].forward);
        }
}

static void write_template(FILE *f, enum op op, const char *output)
{
    write_head(f, op, output);
    write_parts(f, op);
    fprintf(f, "%s\n%s{\n    /* Yours. */\n}\n", texts[text_of(op)].forward,
            texts[text_of(op)].backward);
}

int gradcheck_write_template(const struct gradcheck_options *o, struct error *err)
{
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
