/* test_tensors.c: the table of tensors, compared with GPT-2's; its layout in memory; sizes that
 * overflow. */
#include "model/tensors.h"
#include "tests/test.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static struct model_config gpt2(void)
{
    return (struct model_config){12, 12, 768, 1024, 50257, 50304, true, GELU_TANH, 0};
}

START_TEST(gpt2_small_has_the_published_tensors)
{
    const struct model_config config = gpt2();
    struct tensors *t = tensors_create(&config);
    ck_assert_ptr_nonnull(t);
    ck_assert_uint_eq(t->count, 2 + 12 * 12 + 2);
    ck_assert_uint_eq(t->n_parameters, 124439808);
    ck_assert_str_eq(t->list[0].name, "wte.weight");
    ck_assert_uint_eq(t->list[0].shape[0], 50257);
    ck_assert_uint_eq(t->list[0].size, 50304 * 768);
    ck_assert_uint_eq(tensor_file_size(&t->list[0]), 50257 * 768);
    ck_assert_str_eq(t->list[2].name, "h.0.ln_1.weight");
    ck_assert_str_eq(t->list[t->count - 3].name, "h.11.mlp.c_proj.bias");
    ck_assert_str_eq(t->list[t->count - 1].name, "ln_f.bias");
    tensors_destroy(t);
}
END_TEST

/* Each tensor begins at the first multiple of 16 after the one before it, and the array ends at
 * the first multiple after the last one. So tensors do not overlap and cover the array except
 * for gaps of alignment. */
static void check_layout(const struct model_config *config)
{
    struct tensors *t = tensors_create(config);
    ck_assert_ptr_nonnull(t);
    size_t end = 0, in_files = 0;
    for (size_t i = 0; i < t->count; i++) {
        const struct tensor *x = &t->list[i];
        const size_t rows =
            x->shape[0] == config->vocab_size && i == 0 ? config->padded_vocab_size : x->shape[0];
        ck_assert_uint_eq(x->offset, (end + 15) / 16 * 16);
        ck_assert_uint_eq(x->size, rows * x->shape[1]);
        ck_assert_uint_eq(tensor_file_size(x), x->shape[0] * x->shape[1]);
        end = x->offset + x->size;
        in_files += tensor_file_size(x);
    }
    ck_assert_uint_eq(t->total, (end + 15) / 16 * 16);
    ck_assert_uint_eq(t->n_parameters, in_files);
    tensors_destroy(t);
}

START_TEST(layout_covers_the_array_without_overlap)
{
    static const struct model_config configs[] = {
        {1, 1, 1, 1, 1, 1, true, GELU_TANH, 0},
        {3, 3, 15, 7, 65, 67, true, GELU_ERF, 0},
        {3, 3, 15, 7, 65, 67, false, GELU_ERF, 0},
        {2, 4, 16, 32, 64, 64, false, GELU_TANH, 0.1},
        {4, 2, 34, 100, 1, 16, true, GELU_TANH, 0},
        {1, 5, 35, 3, 300, 300, true, GELU_ERF, 0},
        {48, 25, 1600, 1024, 50257, 50304, true, GELU_TANH, 0},
    };
    const struct model_config gpt2_small = gpt2();
    check_layout(&gpt2_small);
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++)
        check_layout(&configs[i]);
}
END_TEST

START_TEST(find_returns_every_tensor)
{
    static const char *const names[TENSOR_KINDS] = {
        "wte.weight",         "wpe.weight",       "ln_1.weight",        "ln_1.bias",
        "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight", "attn.c_proj.bias",
        "ln_2.weight",        "ln_2.bias",        "mlp.c_fc.weight",    "mlp.c_fc.bias",
        "mlp.c_proj.weight",  "mlp.c_proj.bias",  "ln_f.weight",        "ln_f.bias"};
    for (int bias = 0; bias < 2; bias++) {
        const struct model_config config = {3, 2, 8, 4, 5, 5, bias, GELU_TANH, 0};
        struct tensors *t = tensors_create(&config);
        size_t found = 0;
        for (size_t layer = 0; layer < 3; layer++)
            for (int k = 0; k < TENSOR_KINDS; k++) {
                const bool in_block = k >= LN_1_WEIGHT && k < LN_F_WEIGHT;
                const struct tensor *tensor = tensors_find(t, k, layer);
                if (!bias && strstr(names[k], "bias")) {
                    ck_assert_ptr_null(tensor);
                    continue;
                }
                char name[64];
                snprintf(name, sizeof name, "h.%zu.", layer);
                ck_assert_str_eq(tensor->name + (in_block ? strlen(name) : 0), names[k]);
                ck_assert(!in_block || !strncmp(tensor->name, name, strlen(name)));
                ck_assert_int_eq(tensor->decays, tensor->ndim == 2);
                found += in_block || layer == 0;
            }
        ck_assert_uint_eq(found, t->count);
        ck_assert_ptr_null(tensors_find(t, C_FC_WEIGHT, 3));
        tensors_destroy(t);
    }
}
END_TEST

START_TEST(initialisation_of_gpt2)
{
    const struct model_config config = gpt2();
    struct tensors *t = tensors_create(&config);
    for (size_t i = 0; i < t->count; i++) {
        const struct tensor *tensor = &t->list[i];
        const bool norm = strstr(tensor->name, "ln_"), weight = strstr(tensor->name, "weight"),
                   proj = strstr(tensor->name, "c_proj");
        ck_assert_double_eq(tensor->init_mean, norm && weight ? 1 : 0);
        ck_assert_double_eq(tensor->init_std, norm || !weight ? 0 : proj ? 0.02 / sqrt(24) : 0.02);
    }
    tensors_destroy(t);
}
END_TEST

START_TEST(sizes_that_overflow_are_rejected)
{
    const size_t huge[] = {SIZE_MAX, SIZE_MAX / 3, SIZE_MAX / 4, (size_t)1 << 32, (size_t)1 << 60};
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
        struct model_config config = {1, 1, huge[i], 4, 5, 5, true, GELU_TANH, 0};
        ck_assert_ptr_null(tensors_create(&config));
        config = (struct model_config){1, 1, 1 << 20, huge[i], 5, 5, true, GELU_TANH, 0};
        ck_assert(huge[i] < SIZE_MAX / 64 || !tensors_create(&config));
    }
    struct model_config config = {SIZE_MAX / 8, 1, 8, 4, 5, 5, true, GELU_TANH, 0};
    ck_assert_ptr_null(tensors_create(&config));
    config = (struct model_config){1, 1, 8, 4, 5, 4, true, GELU_TANH, 0};
    ck_assert_ptr_null(tensors_create(&config)); /* padded below the vocabulary */
}
END_TEST

SUITE("model/tensors", gpt2_small_has_the_published_tensors,
      layout_covers_the_array_without_overlap, find_returns_every_tensor, initialisation_of_gpt2,
      sizes_that_overflow_are_rejected)
