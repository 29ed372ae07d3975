/* test_leak.c: training refuses a model that sees future tokens. This program replaces the
 * library's attention and embedding by plain versions that can be made to leak. */
#include "base/error.h"
#include "model/attention.h"
#include "model/causal_probe.h"
#include "model/check/mistakes.h"
#include "model/embedding.h"
#include "tests/test.h"
#include "train/cli/command.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Identifiers of attention's planted mistakes that forward and backward make, or NULL. */
static const char *forward_mistake, *backward_mistake;

typeof(attention_forward) mistaken_attention_forward_f32;
typeof(attention_backward) mistaken_attention_backward_f32;

static void plant(const char *id)
{
    static struct planted planted;
    size_t i = 0;
    while (id && (mistakes[i].op != OP_ATTENTION || strcmp(mistakes[i].id, id)))
        ck_assert_msg(++i < mistakes_count, "no mistake %s", id);
    planted = (struct planted){&mistakes[i], 0};
    mistakes_plant(OP_ATTENTION, &planted, id ? 1 : 0);
}

void attention_forward(real *y, real *lse, const real *qkv, const uint32_t *start, size_t B,
                       size_t T, size_t C, size_t H, const struct dropout *d, uint32_t site)
{
    (void)d;
    plant(forward_mistake);
    mistaken_attention_forward_f32(y, lse, qkv, start, B, T, C, H, NULL, site);
}

void attention_backward(real *dqkv, const real *dy, const real *qkv, const real *y, const real *lse,
                        const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                        const struct dropout *d, uint32_t site)
{
    (void)d;
    plant(backward_mistake);
    mistaken_attention_backward_f32(dqkv, dy, qkv, y, lse, start, B, T, C, H, NULL, site);
}

void attention_backward_set(real *dqkv, const real *dy, const real *qkv, const real *y,
                            const real *lse, const uint32_t *start, size_t B, size_t T, size_t C,
                            size_t H, const struct dropout *d, uint32_t site)
{
    memset(dqkv, 0, B * T * 3 * C * sizeof *dqkv);
    attention_backward(dqkv, dy, qkv, y, lse, start, B, T, C, H, d, site);
}

static bool peek; /* the embedding adds a fraction of the next token */

void embedding_forward(real *x, const uint32_t *ids, const real *wte, const real *wpe, size_t first,
                       size_t B, size_t T, size_t C)
{
    for (size_t n = 0; n < B * T; n++)
        for (size_t i = 0; i < C; i++) {
            const real next = peek && n + 1 < B * T ? wte[ids[n + 1] * C + i] : 0;
            x[n * C + i] = wte[ids[n] * C + i] + wpe[(first + n % T) * C + i] + next / 1024;
        }
}

void embedding_backward(real *dwte, real *dwpe, const real *dx, const uint32_t *ids, size_t B,
                        size_t T, size_t C)
{
    for (size_t n = 0; n < B * T; n++)
        for (size_t i = 0; i < C; i++) {
            dwte[ids[n] * C + i] += dx[n * C + i];
            dwpe[n % T * C + i] += dx[n * C + i];
        }
}

static int probe(const char *forward, const char *backward, bool documents, char message[256])
{
    const struct model_config config = {2, 2, 8, 21, 11, 11, true, GELU_TANH, 0};
    struct gpt g;
    forward_mistake = forward;
    backward_mistake = backward;
    message[0] = 0;
    ck_assert_int_eq(gpt_create(&g, tensors_create(&config), 21, GPT_TRAIN), 0);
    gpt_init(&g, 1);
    const int status = gpt_causal_probe(&g, documents, message, 256);
    gpt_destroy(&g);
    return status;
}

static void refused(const char *forward, const char *backward, bool documents, const char *expected)
{
    char message[256];
    ck_assert_int_eq(probe(forward, backward, documents, message), -1);
    ck_assert_msg(strstr(message, expected) != NULL, "'%s' does not say '%s'", message, expected);
}

START_TEST(leaks_are_detected)
{
    static const char *const across[][2] = {{"document_early", "document_early_both"},
                                            {"documents_ignored", "documents_ignored_both"}};
    char message[256];
    for (int documents = 0; documents < 2; documents++) {
        ck_assert_msg(probe(NULL, NULL, documents, message) == 0, "%s", message);
        refused("leak", "leak_both", documents, "has weights beyond position");
        refused("mask_late", NULL, documents, "instead of 1");
        refused("over_queries", NULL, documents, "instead of 1");
    }
    refused(NULL, "leak_both", false, "the backward leaks");
    for (size_t i = 0; i < sizeof across / sizeof *across; i++) {
        const char *forward = across[i][0], *backward = across[i][1];
        ck_assert_msg(probe(forward, backward, false, message) == 0, "%s", message);
        refused(forward, backward, true, "has weights before the beginning of its document");
        refused(NULL, backward, true, "the backward leaks");
    }
    peek = true;
    refused(NULL, NULL, true,
            "the model leaks: another token at position 13 changes the output at position 12");
    refused(NULL, NULL, false,
            "the model leaks: another token at position 20 changes the output at position 19");
}
END_TEST

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

#define RUN(command, ...)                                                                          \
    command_run(command, sizeof((char *[]){__VA_ARGS__}) / sizeof(char *),                         \
                (char *[]){__VA_ARGS__, NULL})

static void in_new_folder(void)
{
    char folder[] = "/tmp/handgrad-leak-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    FILE *text = fopen("text", "w");
    for (int i = 0; i < 2000; i++)
        fputs("abcde fghij ", text);
    fclose(text);
    write_text("tiny.ini",
               "[model]\nn_layer = 1\nn_head = 2\nn_embd = 8\nblock_size = 16\n[data]\ndir = data\n"
               "[train]\nbatch_size = 2\nsteps = 2\n");
}

START_TEST(training_refuses_a_leaking_model)
{
    in_new_folder();
    ck_assert_int_eq(RUN(command_tokenize, "tokenize", "text", "-o", "data", "--tokenizer", "char"),
                     0);
    forward_mistake = "leak";
    backward_mistake = "leak_both";
    ck_assert_int_eq(RUN(command_train, "train", "tiny.ini", "--out", "run"), 1);
    struct stat s;
    ck_assert_msg(stat("run", &s) != 0, "a refused run leaves a directory");
    ck_assert_int_eq(system("rm -r \"$PWD\""), 0);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

SUITE("train/leak", leaks_are_detected, training_refuses_a_leaking_model)
