/* test_checkpoint_layout.c: HDF5 lays out a checkpoint in a child process. Tests what happens if
 * the child dies or cannot be created. */
#include "tests/test.h"
#include "train/checkpoint/checkpoint.h"
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum { NORMAL, CHILD_DIES, NO_CHILD } fork_mode;
static struct error err;

/* Replaces the C library's function. */
pid_t fork(void)
{
    pid_t (*real)(void);
    *(void **)&real = dlsym(RTLD_NEXT, "fork");
    const pid_t child = fork_mode == NO_CHILD ? -1 : real();
    if (child == 0 && fork_mode == CHILD_DIES)
        raise(SIGUSR2); /* the sanitizers handle SIGSEGV, and Check handles SIGTERM */
    return child;
}

static struct checkpoint make(void)
{
    struct checkpoint c = {.state = {.step = 7}};
    struct model_config model;
    config_defaults(&c.config);
    const char *const sets[] = {"model.n_layer=1", "model.n_embd=8", "model.block_size=4",
                                "model.vocab_size=9"};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        ck_assert_int_eq(config_set(&c.config, sets[i], &err), 0);
    memset(c.data_fingerprint, '0', sizeof c.data_fingerprint - 1);
    ck_assert_int_eq(config_model(&c.config, 0, &model, "test", &err), 0);
    c.tensors = tensors_create(&model);
    float *x = malloc(3 * c.tensors->total * sizeof *x);
    for (size_t i = 0; i < 3 * c.tensors->total; i++)
        x[i] = 0.25f * (float)i + 1;
    c.params = x;
    c.m = x + c.tensors->total;
    c.v = x + 2 * c.tensors->total;
    return c;
}

static void destroy(struct checkpoint *c)
{
    free((void *)c->params);
    tensors_destroy(c->tensors);
}

/* The bytes of a checkpoint written in this mode, or NULL if it fails. */
static char *write_with(int mode, size_t *size)
{
    char path[] = "/tmp/handgrad-layout-XXXXXX";
    struct checkpoint c = make();
    close(mkstemp(path));
    unlink(path);
    fork_mode = mode;
    const int status = checkpoint_write(&c, path, &err);
    fork_mode = NORMAL;
    destroy(&c);
    FILE *f = fopen(path, "rb");
    ck_assert_int_eq(status == 0, f != NULL);
    if (!f)
        return NULL;
    char *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    unlink(path);
    return bytes;
}

START_TEST(a_crash_fails_the_save)
{
    size_t size;
    ck_assert_ptr_null(write_with(CHILD_DIES, &size));
    ck_assert_ptr_nonnull(strstr(err.text, "laying it out crashed the sandboxed process"));
    char *bytes = write_with(NORMAL, &size);
    ck_assert_ptr_nonnull(bytes);
    free(bytes);
}
END_TEST

START_TEST(bytes_are_the_same_without_a_child)
{
    size_t sizes[2];
    char *child = write_with(NORMAL, &sizes[0]), *here = write_with(NO_CHILD, &sizes[1]);
    ck_assert_ptr_nonnull(child);
    ck_assert_ptr_nonnull(here);
    ck_assert_uint_eq(sizes[0], sizes[1]);
    ck_assert_mem_eq(child, here, sizes[0]);
    free(child);
    free(here);
}
END_TEST

SUITE("train/layout", a_crash_fails_the_save, bytes_are_the_same_without_a_child)
