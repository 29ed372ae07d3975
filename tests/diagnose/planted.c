/* planted.c: somebody's own operations, as a shared object, that go wrong as the environment says: HANDGRAD_FAULTS is a sum of
 * faults (model/mistakes.h) for the plain operations, HANDGRAD_PART_FAULTS ("PART:FAULTS PART:FAULTS …", enum op_part) of those
 * inside a composition, HANDGRAD_MISCHIEF something worse. Built with the plain operations alone. */
#include "model/check/mistakes.h"
#undef dropout_forward /* their plain names are this file's own */
#undef dropout_backward
#include <handgrad_op.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct op_case sizes(size_t B, size_t T, size_t C)
{
    const char *faults = getenv("HANDGRAD_FAULTS"), *parts = getenv("HANDGRAD_PART_FAULTS");
    struct op_case c = {.B = B, .T = T, .C = C, .faults = faults ? (unsigned)atoi(faults) : 0};
    unsigned part, bits;
    for (int n; parts && sscanf(parts, "%u:%u%n", &part, &bits, &n) == 2; parts += n)
        c.part_faults[part] = bits;
    return c;
}

static bool mischief(const char *name)
{
    const char *asked = getenv("HANDGRAD_MISCHIEF");
    return asked && !strcmp(asked, name);
}

#define V(...) ((void *[]){__VA_ARGS__})

static void forward(enum op op, void *const *x, struct op_case c)
{
    plain_f64[op].call_forward(NULL, x, &c);
}

static void backward(enum op op, void *const *dx, void *const *x, struct op_case c)
{
    plain_f64[op].call_backward(NULL, dx, x, &c);
}

void embedding_forward(real *x, const uint32_t *ids, const real *wte, const real *wpe, size_t first,
                       size_t B, size_t T, size_t C)
{
    struct op_case c = sizes(B, T, C);
    c.ids = ids;
    forward(OP_EMBEDDING, V(x, (void *)wte, (void *)(wpe + first * C)), c);
}

void embedding_backward(real *dwte, real *dwpe, const real *dx, const uint32_t *ids, size_t B,
                        size_t T, size_t C)
{
    struct op_case c = sizes(B, T, C);
    c.ids = ids;
    backward(OP_EMBEDDING, V((void *)dx, dwte, dwpe), NULL, c);
}

void linear_forward(real *y, const real *x, const real *w, const real *bias, size_t N, size_t I,
                    size_t O)
{
    struct op_case c = sizes(N, 1, I);
    c.O = O;
    forward(OP_LINEAR, V(y, (void *)x, (void *)w, (void *)bias), c);
}

void linear_backward(real *dx, real *dw, real *dbias, const real *dy, const real *x, const real *w,
                     size_t N, size_t I, size_t O)
{
    struct op_case c = sizes(N, 1, I);
    c.O = O;
    backward(OP_LINEAR, V((void *)dy, dx, dw, dbias), V(NULL, (void *)x, (void *)w), c);
}

void layernorm_forward(real *y, real *mean, real *rstd, const real *x, const real *gain,
                       const real *bias, size_t N, size_t C)
{
    forward(OP_LAYERNORM, V(y, mean, rstd, (void *)x, (void *)gain, (void *)bias), sizes(N, 1, C));
}

void layernorm_backward(real *dx, real *dgain, real *dbias, const real *dy, const real *x,
                        const real *mean, const real *rstd, const real *gain, size_t N, size_t C)
{
    backward(OP_LAYERNORM, V((void *)dy, NULL, NULL, dx, dgain, dbias),
             V(NULL, (void *)mean, (void *)rstd, (void *)x, (void *)gain), sizes(N, 1, C));
    if (mischief("unknown") && N > 1 && C > 4)
        dx[C + 3] *= 1.001;
    if (mischief("half"))
        for (size_t i = 0; i < C; i++)
            dgain[i] += dgain[i];
    if (mischief("overrun"))
        dgain[C] = 1;
    if (mischief("scribble"))
        ((real *)x)[0] = 0;
    if (mischief("crash"))
        raise(SIGSEGV);
    if (mischief("exit"))
        exit(0);
    for (volatile int on = mischief("loop"); on;)
        ;
}

void gelu_forward(real *y, const real *x, size_t n, enum gelu_kind kind)
{
    forward(kind == GELU_ERF ? OP_GELU_ERF : OP_GELU_TANH, V(y, (void *)x), sizes(n, 1, 1));
}

/* "Derivative at y" needs y, which this signature does not give: it is made again. */
void gelu_backward(real *dx, const real *dy, const real *x, size_t n, enum gelu_kind kind)
{
    const enum op op = kind == GELU_ERF ? OP_GELU_ERF : OP_GELU_TANH;
    real *y = malloc(n * sizeof *y);
    struct op_case right = sizes(n, 1, 1);
    right.faults = 0;
    forward(op, V(y, (void *)x), right);
    backward(op, V((void *)dy, dx), V(y, (void *)x), sizes(n, 1, 1));
    free(y);
}

void softmax_forward(real *p, const real *x, size_t N, size_t C)
{
    forward(OP_SOFTMAX, V(p, (void *)x), sizes(N, 1, C));
}

void softmax_backward(real *dx, const real *dp, const real *p, size_t N, size_t C)
{
    backward(OP_SOFTMAX, V((void *)dp, dx), V((void *)p), sizes(N, 1, C));
}

static struct op_case dropping(size_t B, size_t T, size_t C, const struct dropout *d)
{
    struct op_case c = sizes(B, T, C);
    c.p = d ? d->p : 0;
    c.first_row = d ? d->first_row : 0;
    return c;
}

void dropout_forward(real *y, const real *x, size_t N, size_t T, size_t C, const struct dropout *d,
                     uint32_t site)
{
    (void)site;
    forward(OP_DROPOUT, V(y, (void *)x), dropping(N / T, T, C, d));
}

void dropout_backward(real *dx, const real *dy, size_t N, size_t T, size_t C,
                      const struct dropout *d, uint32_t site)
{
    (void)site;
    backward(OP_DROPOUT, V((void *)dy, dx), NULL, dropping(N / T, T, C, d));
}

void residual_forward(real *y, const real *x, const real *branch, size_t N, size_t T, size_t C,
                      const struct dropout *d, uint32_t site)
{
    (void)site;
    forward(OP_RESIDUAL, V(y, (void *)x, (void *)branch), dropping(N / T, T, C, d));
}

void residual_backward(real *dx, real *dbranch, const real *dy, size_t N, size_t T, size_t C,
                       const struct dropout *d, uint32_t site)
{
    (void)site;
    backward(OP_RESIDUAL, V((void *)dy, dx, dbranch), NULL, dropping(N / T, T, C, d));
}

void attention_forward(real *y, real *lse, const real *qkv, const uint32_t *start, size_t B,
                       size_t T, size_t C, size_t H, const struct dropout *d, uint32_t site)
{
    (void)site;
    struct op_case c = dropping(B, T, C, d);
    c.start = start;
    c.H = H;
    forward(OP_ATTENTION, V(y, lse, (void *)qkv), c);
}

void attention_backward(real *dqkv, const real *dy, const real *qkv, const real *y, const real *lse,
                        const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                        const struct dropout *d, uint32_t site)
{
    (void)site;
    struct op_case c = dropping(B, T, C, d);
    c.start = start;
    c.H = H;
    backward(OP_ATTENTION, V((void *)dy, NULL, dqkv), V((void *)y, (void *)lse, (void *)qkv), c);
}

void mlp_forward(real *y, real *fc, real *act, const real *x, const real *w_fc, const real *b_fc,
                 const real *w_proj, const real *b_proj, size_t N, size_t C, enum gelu_kind kind)
{
    struct op_case c = sizes(N, 1, C);
    c.gelu = kind;
    forward(OP_MLP,
            V(y, fc, act, (void *)x, (void *)w_fc, (void *)b_fc, (void *)w_proj, (void *)b_proj),
            c);
}

void mlp_backward(real *dx, real *dw_fc, real *db_fc, real *dw_proj, real *db_proj, real *dfc,
                  real *dact, const real *dy, const real *fc, const real *act, const real *x,
                  const real *w_fc, const real *w_proj, size_t N, size_t C, enum gelu_kind kind)
{
    struct op_case c = sizes(N, 1, C);
    c.gelu = kind;
    backward(OP_MLP, V((void *)dy, NULL, NULL, dx, dw_fc, db_fc, dw_proj, db_proj),
             V(NULL, (void *)fc, (void *)act, (void *)x, (void *)w_fc, NULL, (void *)w_proj, NULL,
               dfc, dact),
             c);
}

static struct op_case vocabulary(size_t N, size_t C, size_t V, size_t padded,
                                 const uint32_t *targets)
{
    struct op_case c = sizes(N, 1, C);
    c.V = V;
    c.P = padded;
    c.targets = targets;
    return c;
}

void loss_forward(real *losses, real *logits, const real *x, const real *wte,
                  const uint32_t *targets, size_t N, size_t C, size_t V, size_t padded)
{
    forward(OP_LOSS, V(losses, (void *)x, (void *)wte, logits),
            vocabulary(N, C, V, padded, targets));
}

void loss_backward(real *dx, real *dwte, real *losses, real *logits, const real *dlosses,
                   const real *x, const real *wte, const uint32_t *targets, size_t N, size_t C,
                   size_t V, size_t padded)
{
    backward(OP_LOSS, V((void *)dlosses, dx, dwte), V(losses, (void *)x, (void *)wte, logits),
             vocabulary(N, C, V, padded, targets));
}

static struct op_case layer_case(const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                                 enum gelu_kind kind, const struct dropout *d)
{
    struct op_case c = dropping(B, T, C, d);
    c.start = start;
    c.H = H;
    c.gelu = kind;
    return c;
}

void block_forward(real *out, real *ln_1, real *ln_1_mean, real *ln_1_rstd, real *qkv, real *att,
                   real *lse, real *mid, real *ln_2, real *ln_2_mean, real *ln_2_rstd, real *fc,
                   real *act, real *branch, const real *x, const real *ln_1_weight,
                   const real *ln_1_bias, const real *attn_c_attn_weight,
                   const real *attn_c_attn_bias, const real *attn_c_proj_weight,
                   const real *attn_c_proj_bias, const real *ln_2_weight, const real *ln_2_bias,
                   const real *mlp_c_fc_weight, const real *mlp_c_fc_bias,
                   const real *mlp_c_proj_weight, const real *mlp_c_proj_bias,
                   const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                   enum gelu_kind kind, const struct dropout *d, uint32_t layer)
{
    (void)layer;
    forward(OP_BLOCK,
            V(out, ln_1, ln_1_mean, ln_1_rstd, qkv, att, lse, mid, ln_2, ln_2_mean, ln_2_rstd, fc,
              act, (void *)x, (void *)ln_1_weight, (void *)ln_1_bias, (void *)attn_c_attn_weight,
              (void *)attn_c_attn_bias, (void *)attn_c_proj_weight, (void *)attn_c_proj_bias,
              (void *)ln_2_weight, (void *)ln_2_bias, (void *)mlp_c_fc_weight,
              (void *)mlp_c_fc_bias, (void *)mlp_c_proj_weight, (void *)mlp_c_proj_bias, branch),
            layer_case(start, B, T, C, H, kind, d));
}

void block_backward(real *dx, real *dln_1_weight, real *dln_1_bias, real *dattn_c_attn_weight,
                    real *dattn_c_attn_bias, real *dattn_c_proj_weight, real *dattn_c_proj_bias,
                    real *dln_2_weight, real *dln_2_bias, real *dmlp_c_fc_weight,
                    real *dmlp_c_fc_bias, real *dmlp_c_proj_weight, real *dmlp_c_proj_bias,
                    real *dmid, real *dbranch, real *dln, real *datt, real *dqkv, real *dfc,
                    real *dact, const real *dout, const real *ln_1, const real *ln_1_mean,
                    const real *ln_1_rstd, const real *qkv, const real *att, const real *lse,
                    const real *mid, const real *ln_2, const real *ln_2_mean, const real *ln_2_rstd,
                    const real *fc, const real *act, const real *x, const real *ln_1_weight,
                    const real *attn_c_attn_weight, const real *attn_c_proj_weight,
                    const real *ln_2_weight, const real *mlp_c_fc_weight,
                    const real *mlp_c_proj_weight, const uint32_t *start, size_t B, size_t T,
                    size_t C, size_t H, enum gelu_kind kind, const struct dropout *d,
                    uint32_t layer)
{
    (void)layer;
    backward(OP_BLOCK,
             V((void *)dout, [13] = dx, dln_1_weight, dln_1_bias, dattn_c_attn_weight,
               dattn_c_attn_bias, dattn_c_proj_weight, dattn_c_proj_bias, dln_2_weight, dln_2_bias,
               dmlp_c_fc_weight, dmlp_c_fc_bias, dmlp_c_proj_weight, dmlp_c_proj_bias),
             V(NULL, (void *)ln_1, (void *)ln_1_mean, (void *)ln_1_rstd, (void *)qkv, (void *)att,
               (void *)lse, (void *)mid, (void *)ln_2, (void *)ln_2_mean, (void *)ln_2_rstd,
               (void *)fc, (void *)act, (void *)x, (void *)ln_1_weight, NULL,
               (void *)attn_c_attn_weight, NULL, (void *)attn_c_proj_weight, NULL,
               (void *)ln_2_weight, NULL, (void *)mlp_c_fc_weight, NULL, (void *)mlp_c_proj_weight,
               NULL, NULL, dmid, dbranch, dln, datt, dqkv, dfc, dact),
             layer_case(start, B, T, C, H, kind, d));
}
