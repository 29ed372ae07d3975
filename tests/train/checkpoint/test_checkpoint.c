/* test_checkpoint.c: checkpoints are read back bit for bit, equal ones have equal bytes, and a
 * failed save does no harm. */
#include "tests/checkpoint_fixture.h"
#include "train/checkpoint/image.h"
#include "train/checkpoint/snapshot.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* Checks every tensor of a group, and that the padding and gaps between them keep their values. */
static void ck_same_array(struct checkpoint_file *f, const struct tensors *t, const char *group,
                          const float *expected)
{
    float *got = malloc(t->total * sizeof *got), *seen = calloc(t->total, sizeof *seen);
    for (size_t i = 0; i < t->total; i++)
        got[i] = -7;
    ck_assert(checkpoint_has(f, group));
    if (checkpoint_read(f, group, got, &err))
        ck_abort_msg("%s", err.text);
    for (size_t k = 0; k < t->count; k++)
        for (size_t i = 0; i < tensor_file_size(&t->list[k]); i++) {
            const size_t at = t->list[k].offset + i;
            ck_assert(!memcmp(&got[at], &expected[at], sizeof *got));
            seen[at] = 1;
        }
    for (size_t i = 0; i < t->total; i++)
        ck_assert(seen[i] == 1 || got[i] == -7);
    free(got);
    free(seen);
}

START_TEST(round_trip_is_bit_exact)
{
    enter_folder();
    for (int kind = 0; kind < 4; kind++) {
        struct checkpoint c = make(7, kind % 2, kind < 2 ? 8 : kind == 2 ? 5 : 0), d;
        const char *path = in_folder("ckpt-7.h5");
        ck_write(&c, path);
        struct checkpoint_file *f = checkpoint_open(path, &d, &err);
        if (!f)
            ck_abort_msg("%s", err.text);
        ck_assert_uint_eq(config_diff(&c.config, &d.config, NULL, 0), 0);
        ck_assert_mem_eq(&c.state, &d.state, sizeof c.state);
        ck_assert_str_eq(c.data_fingerprint, d.data_fingerprint);
        ck_assert_int_eq(!c.tokenizer, !d.tokenizer);
        if (c.tokenizer)
            ck_assert_str_eq(c.tokenizer->fingerprint, d.tokenizer->fingerprint);
        ck_assert_int_eq(checkpoint_fits(&d, &c.tensors->config, path, &err), 0);
        ck_assert_uint_eq(d.tensors->total, c.tensors->total);
        ck_assert_ptr_null(d.params);
        ck_same_array(f, d.tensors, "params", c.params);
        ck_same_array(f, d.tensors, "adamw/m", c.m);
        ck_same_array(f, d.tensors, "adamw/v", c.v);
        ck_same_array(f, d.tensors, "grads", c.grads);
        ck_assert(!checkpoint_has(f, "adamw/w"));
        ck_assert(!checkpoint_has(f, ""));
        ck_assert(!checkpoint_has(f, "params/wte.weight"));
        checkpoint_close(f);
        destroy(&c);
    }
}
END_TEST

START_TEST(groups_are_optional)
{
    enter_folder();
    struct checkpoint c = make(0, true, 0), d;
    const char *path = in_folder("init.h5");
    c.m = c.v = c.grads = NULL;
    ck_assert_int_eq(checkpoint_write(&c, path, &err), -1); /* within a step, without gradients */
    c.state.micro = 0;
    ck_write(&c, path);
    struct checkpoint_file *f = checkpoint_open(path, &d, &err);
    ck_assert_ptr_nonnull(f);
    ck_assert(!checkpoint_has(f, "adamw/m") && !checkpoint_has(f, "grads"));
    float x;
    ck_assert_int_eq(checkpoint_read(f, "adamw/m", &x, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "init.h5: adamw/m: missing"));
    ck_same_array(f, d.tensors, "params", c.params);
    checkpoint_close(f);
    destroy(&c);
}
END_TEST

START_TEST(saving_twice_gives_the_same_bytes)
{
    enter_folder();
    size_t m, n;
    write_step(3, in_folder("a.h5"));
    sleep(1); /* time stamps in the file would differ */
    write_step(3, in_folder("b.h5"));
    unsigned char *a = read_file(in_folder("a.h5"), &m), *b = read_file(in_folder("b.h5"), &n);
    ck_assert_uint_eq(m, n);
    ck_assert(!memcmp(a, b, m));
    write_step(3, in_folder("b.h5")); /* over an existing file */
    free(b);
    b = read_file(in_folder("b.h5"), &n);
    ck_assert_uint_eq(m, n);
    ck_assert(!memcmp(a, b, m));
    free(a);
    free(b);
}
END_TEST

/* A buffer that held another file, as the writer's does, leaves no trace in the new one, and a
 * copied snapshot gives the same file as checkpoint_write. */
START_TEST(reusing_a_buffer_gives_the_same_bytes)
{
    enter_folder();
    size_t m, n;
    struct snapshot s = {.image.file = -1};
    s.image.capacity = 4 << 20;
    s.image.bytes = malloc(s.image.capacity);
    memset(s.image.bytes, 0xA5, s.image.capacity);
    for (int with_grads = 1; with_grads >= 0; with_grads--) {
        struct checkpoint c = make(3, true, 8);
        c.grads = with_grads ? c.grads : NULL;
        c.state.micro = (uint64_t)with_grads;
        ck_write(&c, in_folder("a.h5"));
        ck_assert_msg(!snapshot_lay_out(&s, &c, "b", &err), "%s", err.text);
        snapshot_copy(&s);
        memset((float *)c.params, 0xff,
               4 * c.tensors->total * sizeof(float)); /* training continues */
        snapshot_seal(&s);
        ck_assert_ptr_null(s.not_finite);
        ck_assert_int_eq(snapshot_write(&s, in_folder("b.h5"), &err), 0);
        unsigned char *a = read_file(in_folder("a.h5"), &m), *b = read_file(in_folder("b.h5"), &n);
        ck_assert_uint_eq(m, n);
        ck_assert(!memcmp(a, b, m));
        ck_assert_int_eq(image_verify(in_folder("b.h5"), &err), 0);
        free(a);
        free(b);
        destroy(&c);
    }
    snapshot_clear(&s);
    h5_image_free(&s.image);
}
END_TEST

START_TEST(the_first_non_finite_tensor_is_named)
{
    struct checkpoint c = make(3, true, 8);
    const float wrong[] = {NAN, INFINITY, -INFINITY};
    for (size_t k = 0; k < c.tensors->count; k++) {
        struct snapshot s = {.image.file = -1};
        const size_t at = c.tensors->total + c.tensors->list[k].offset +
                          tensor_file_size(&c.tensors->list[k]) - 1;
        float *arrays = (float *)c.params;
        const float before = arrays[at];
        arrays[at] = wrong[k % 3];
        ck_assert_int_eq(snapshot_lay_out(&s, &c, "x", &err), 0);
        snapshot_seal(&s);
        ck_assert_ptr_nonnull(s.not_finite);
        ck_assert_str_eq(s.not_finite->group, "adamw/m");
        ck_assert_str_eq(s.not_finite->name, c.tensors->list[k].name);
        arrays[at] = before;
        snapshot_clear(&s);
        h5_image_free(&s.image);
    }
    destroy(&c);
}
END_TEST

/* libhdf5 does not confuse two files that are open at the same time. */
START_TEST(two_open_files)
{
    enter_folder();
    struct checkpoint a = make(1, true, 0), b = make(2, true, 0), c, d;
    ck_write(&a, in_folder("a.h5"));
    ck_write(&b, in_folder("b.h5"));
    struct checkpoint_file *f = checkpoint_open(in_folder("a.h5"), &c, &err),
                           *g = checkpoint_open(in_folder("b.h5"), &d, &err);
    ck_assert(f && g);
    ck_assert_uint_eq(c.state.step, 1);
    ck_assert_uint_eq(d.state.step, 2);
    ck_same_array(g, d.tensors, "params", b.params);
    ck_same_array(f, c.tensors, "params", a.params);
    checkpoint_close(f);
    ck_same_array(g, d.tensors, "adamw/v", b.v);
    checkpoint_close(g);
    destroy(&a);
    destroy(&b);
}
END_TEST

START_TEST(a_different_shape_is_named)
{
    struct checkpoint a = make(1, true, 0), b = make(1, false, 7);
    ck_assert_int_eq(checkpoint_fits(&a, &b.tensors->config, "ckpt.h5", &err), -1);
    ck_assert_str_eq(err.text, "ckpt.h5: model.vocab_size is 5, expected 7");
    ck_assert_int_eq(config_set(&a.config, "model.n_layer=1", &err), 0);
    ck_assert_int_eq(checkpoint_write(&a, "ckpt.h5", &err), -1); /* does not fit the arrays */
    ck_assert_ptr_nonnull(strstr(err.text, "ckpt.h5: model.n_layer is 2, expected 1"));
    ck_assert_int_eq(config_set(&a.config, "model.n_layer=2", &err), 0);
    ck_assert_int_eq(checkpoint_fits(&a, &a.tensors->config, "ckpt.h5", &err), 0);
    destroy(&a);
    destroy(&b);
}
END_TEST

START_TEST(a_failed_save_keeps_the_old_file)
{
    enter_folder();
    size_t m, n;
    const char *path = in_folder("ckpt.h5");
    write_step(3, path);
    unsigned char *before = read_file(path, &m);
    struct checkpoint c = make(4, true, 0);
    signal(SIGXFSZ, SIG_IGN);
    const struct rlimit small = {5000, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert_int_eq(checkpoint_write(&c, path, &err), -1);
    setrlimit(RLIMIT_FSIZE, &none);
    ck_assert_ptr_nonnull(strstr(err.text, "ckpt.h5: writing: File too large"));
    unsigned char *after = read_file(path, &n);
    ck_assert(m == n && !memcmp(before, after, m));
    ck_assert_uint_eq(count_files(), 1);
    ck_write(&c, path); /* the next save succeeds */
    ck_opens(path);
    free(before);
    free(after);
    ck_assert_int_eq(checkpoint_write(&c, in_folder("none/ckpt.h5"), &err), -1);
    destroy(&c);
}
END_TEST

/* libhdf5 must not access the disk: saving over a file does not open it. */
START_TEST(hdf5_does_not_access_the_disk)
{
    enter_folder();
    const char *path = in_folder("ckpt.h5");
    struct checkpoint c = make(1, true, 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0); /* opening it would hang */
    ck_write(&c, path);
    ck_opens(path);
    destroy(&c);
}
END_TEST

SUITE("train/checkpoint", round_trip_is_bit_exact, groups_are_optional,
      saving_twice_gives_the_same_bytes, reusing_a_buffer_gives_the_same_bytes,
      the_first_non_finite_tensor_is_named, two_open_files, a_different_shape_is_named,
      a_failed_save_keeps_the_old_file, hdf5_does_not_access_the_disk)
