/* test_causal_probe.c: models of all sizes pass the causal probe, which leaves gradients at zero.
 * Built for float and for double. */
#include "model/causal_probe.h"
#include "tests/test.h"
#include <string.h>

static void check(struct model_config c, size_t rows, enum gpt_use use)
{
    struct gpt g;
    char message[256] = "";
    ck_assert_int_eq(gpt_create(&g, tensors_create(&c), rows, use), 0);
    gpt_init(&g, 1);
    for (size_t i = 0; i < g.tensors->total; i++)
        g.params[i] *= 10; /* sharp attention, unlike that of initial weights */
    for (int documents = 0; documents < 2; documents++) {
        const int status = gpt_causal_probe(&g, documents, message, sizeof message);
        ck_assert_msg(status == 0, "%s", message);
    }
    size_t nonzero = 0;
    for (size_t i = 0; g.grads && i < g.tensors->total; i++)
        nonzero += !(g.grads[i] == 0);
    ck_assert_msg(nonzero == 0, "the probe leaves %zu nonzero gradients", nonzero);
    gpt_destroy(&g);
}

START_TEST(models_are_causal)
{
    check((struct model_config){2, 2, 8, 5, 11, 11, true, GELU_TANH, 0}, 5, GPT_TRAIN);
    check((struct model_config){1, 3, 6, 100, 7, 16, false, GELU_ERF, 0.1}, 300, GPT_TRAIN);
    check((struct model_config){3, 1, 5, 150, 65, 65, true, GELU_TANH, 0}, 150, GPT_TRAIN);
    check((struct model_config){2, 4, 64, 300, 65, 65, true, GELU_TANH, 0}, 300, GPT_INFER);
}
END_TEST

START_TEST(smallest_sizes)
{
    check((struct model_config){1, 1, 1, 1, 1, 1, true, GELU_TANH, 0}, 1, GPT_TRAIN);
    check((struct model_config){1, 1, 2, 2, 1, 1, true, GELU_TANH, 0}, 2, GPT_TRAIN);
    /* fewer rows than block_size */
    check((struct model_config){1, 1, 2, 3, 2, 2, true, GELU_TANH, 0}, 2, GPT_TRAIN);
}
END_TEST

SUITE_FLOAT_DOUBLE("model/causal_probe", models_are_causal, smallest_sizes)
