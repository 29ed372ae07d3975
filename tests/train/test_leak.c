/* test_leak.c: a model that sees the future is refused. This program brings an attention and an embedding of its own, in
 * place of the library's: plain ones that can be made to leak. */
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

static unsigned forward_faults, backward_faults;

void attention_forward(real *y, real *lse, const real *qkv, const uint32_t *start, size_t B,
                       size_t T, size_t C, size_t H, const struct dropout *d, uint32_t site)
{
    (void)d, (void)site;
    const struct op_case c = {
        .B = B, .T = T, .C = C, .H = H, .start = start, .faults = forward_faults};
    plain_f32[OP_ATTENTION].call_forward(NULL, (void *[]){y, lse, (void *)qkv}, &c);
}

void attention_backward(real *dqkv, const real *dy, const real *qkv, const real *y, const real *lse,
                        const uint32_t *start, size_t B, size_t T, size_t C, size_t H,
                        const struct dropout *d, uint32_t site)
{
    (void)d, (void)site;
    const struct op_case c = {
        .B = B, .T = T, .C = C, .H = H, .start = start, .faults = backward_faults};
    plain_f32[OP_ATTENTION].call_backward(NULL, (void *[]){(void *)dy, NULL, dqkv},
                                          (void *[]){(void *)y, (void *)lse, (void *)qkv}, &c);
}

void attention_backward_set(real *dqkv, const real *dy, const real *qkv, const real *y,
                            const real *lse, const uint32_t *start, size_t B, size_t T, size_t C,
                            size_t H, const struct dropout *d, uint32_t site)
{
    memset(dqkv, 0, B * T * 3 * C * sizeof *dqkv);
    attention_backward(dqkv, dy, qkv, y, lse, start, B, T, C, H, d, site);
}

static bool peek; /* the embedding adds a little of the next token */

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

static int probe(unsigned forward, unsigned backward, bool documents, char message[256])
{
    const struct model_config config = {2, 2, 8, 21, 11, 11, true, GELU_TANH, 0};
    struct gpt g;
    forward_faults = forward;
    backward_faults = backward;
    message[0] = 0;
    ck_assert_int_eq(gpt_create(&g, tensors_create(&config), 21, GPT_TRAIN), 0);
    gpt_init(&g, 1);
    const int status = gpt_causal_probe(&g, documents, message, 256);
    gpt_destroy(&g);
    return status;
}

static void refused(unsigned forward, unsigned backward, bool documents, const char *expected)
{
    char message[256];
    ck_assert_int_eq(probe(forward, backward, documents, message), -1);
    ck_assert_msg(strstr(message, expected) != NULL, "'%s' does not say '%s'", message, expected);
}

START_TEST(leaks_are_found)
{
    char message[256];
    for (int documents = 0; documents < 2; documents++) {
        ck_assert_msg(probe(0, 0, documents, message) == 0, "%s", message);
        refused(ATTENTION_LEAK, ATTENTION_LEAK | ATTENTION_BOTH, documents,
                "has weights beyond position");
        refused(ATTENTION_MASK_LATE, 0, documents, "not to one");
        refused(ATTENTION_OVER_QUERIES, 0, documents, "not to one");
    }
    refused(0, ATTENTION_LEAK | ATTENTION_BOTH, false, "the backward leaks");
    for (unsigned fault = ATTENTION_DOCUMENT_EARLY; fault <= ATTENTION_DOCUMENTS_IGNORED;
         fault *= 2) {
        ck_assert_msg(probe(fault, fault | ATTENTION_BOTH, false, message) == 0, "%s", message);
        refused(fault, fault | ATTENTION_BOTH, true, "has weights before its document");
        refused(0, fault | ATTENTION_BOTH, true, "the backward leaks");
    }
    peek = true;
    refused(0, 0, true,
            "the model leaks: another token at position 13 changes the output at position 12");
    refused(0, 0, false,
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
    command(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *), (char *[]){__VA_ARGS__, NULL})

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
    forward_faults = ATTENTION_LEAK;
    backward_faults = ATTENTION_LEAK | ATTENTION_BOTH;
    ck_assert_int_eq(RUN(command_train, "train", "tiny.ini", "--out", "run"), 1);
    struct stat s;
    ck_assert_msg(stat("run", &s) != 0, "a refused run leaves a folder");
    ck_assert_int_eq(system("rm -r \"$PWD\""), 0);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

SUITE("train/leak", leaks_are_found, training_refuses_a_leaking_model)
