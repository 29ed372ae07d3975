/* test_train_checkpoint.c: checkpoints come back bit for bit, damage of any kind is found, and the folder keeps what it should. */
#include "../data/h5.h"
#include "../train/checkpoint.h"
#include "../train/image.h"
#include "../train/run_folder.h"
#include "../train/snapshot.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct error err;
static char dir[64];

static char *in_dir(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void enter_dir(void)
{
    strcpy(dir, "/tmp/handgrad-ckpt-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static size_t count_files(void)
{
    DIR *d = opendir(dir);
    size_t n = 0;
    for (const struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
    closedir(d);
    return n;
}

static void leave_dir(void)
{
    DIR *d = opendir(dir);
    for (const struct dirent *e; (e = readdir(d));)
        unlink(in_dir(e->d_name));
    closedir(d);
    rmdir(dir);
}

/* A checkpoint with everything in it; arrays of recognisable numbers. */
static struct checkpoint make(uint64_t step, bool tokenizer, size_t padded)
{
    static const uint32_t letters[] = {'\n', 'a', 'b', 0xe9, 0x1f600};
    struct checkpoint c = {.state = {.step = step,
                                     .micro = 1,
                                     .micro_loss = 0.1,
                                     .smoothed_loss = 1.0 / 3,
                                     .val_loss = NAN,
                                     .best_val_loss = 1.7,
                                     .val_step = 3,
                                     .best_step = UINT64_MAX}};
    struct model_config model;
    char set[64];
    config_defaults(&c.config);
    const char *const sets[] = {"model.n_layer=2", "model.n_embd=12",    "model.block_size=5",
                                "model.bias=yes",  "train.accumulate=2", "optim.lr=0.0007"};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        ck_assert_int_eq(config_set(&c.config, sets[i], &err), 0);
    snprintf(set, sizeof set, "model.vocab_size=%zu", padded);
    ck_assert_int_eq(config_set(&c.config, set, &err), 0);
    strcpy(c.data_fingerprint, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    c.tokenizer = tokenizer ? tokenizer_create_char(letters, 5, &err) : NULL;
    ck_assert_int_eq(config_model(&c.config, tokenizer ? 5 : 0, &model, "test", &err), 0);
    c.tensors = tensors_create(&model);
    float *arrays = malloc(4 * c.tensors->total * sizeof *arrays);
    for (size_t i = 0; i < 4 * c.tensors->total; i++)
        arrays[i] = (float)sin((double)i + (double)step) * powf(10, (float)((int)(i % 70) - 40));
    c.params = arrays;
    c.m = arrays + c.tensors->total;
    c.v = arrays + 2 * c.tensors->total;
    c.grads = arrays + 3 * c.tensors->total;
    return c;
}

static void destroy(struct checkpoint *c)
{
    free((void *)c->params);
    tensors_destroy(c->tensors);
    tokenizer_destroy(c->tokenizer);
}

static void ck_write(const struct checkpoint *c, const char *path)
{
    if (checkpoint_write(c, path, &err))
        ck_abort_msg("%s", err.text);
}

static void write_step(uint64_t step, const char *path)
{
    struct checkpoint c = make(step, true, 0);
    ck_write(&c, path);
    destroy(&c);
}

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    unsigned char *bytes = malloc(*size + 1);
    ck_assert_uint_eq(fread(bytes, 1, *size, f), *size);
    fclose(f);
    return bytes;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

static void ck_opens(const char *path)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, &err);
    if (!f)
        ck_abort_msg("%s", err.text);
    checkpoint_close(f);
}

/* The file does not open, and the line says "NAME: expected…". */
static void ck_refused(const char *path, const char *expected)
{
    struct checkpoint c;
    char line[512];
    ck_assert_ptr_null(checkpoint_open(path, &c, &err));
    snprintf(line, sizeof line, "%s: %s", path, expected);
    if (strncmp(err.text, line, strlen(line)))
        ck_abort_msg("\"%s\", expected \"%s\"", err.text, line);
    ck_assert_ptr_null(c.tokenizer);
    ck_assert_ptr_null(c.tensors);
}

/* Every tensor of the group as it was, and what lies between and behind them untouched. */
static void ck_same_array(struct checkpoint_file *f, const struct tensors *t, const char *group, const float *expected)
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
    enter_dir();
    for (int kind = 0; kind < 4; kind++) {
        struct checkpoint c = make(7, kind % 2, kind < 2 ? 8 : kind == 2 ? 5 : 0), d;
        const char *path = in_dir("ckpt-7.h5");
        ck_write(&c, path);
        struct checkpoint_file *f = checkpoint_open(path, &d, &err);
        if (!f)
            ck_abort_msg("%s", err.text);
        ck_assert_uint_eq(config_diff(&c.config, &d.config, NULL, 0), 0);
        ck_assert_mem_eq(&c.state, &d.state, sizeof c.state);
        ck_assert_str_eq(c.data_fingerprint, d.data_fingerprint);
        ck_assert_int_eq(!c.tokenizer, !d.tokenizer);
        if (c.tokenizer)
            ck_assert_str_eq(tokenizer_fingerprint(c.tokenizer), tokenizer_fingerprint(d.tokenizer));
        ck_assert_int_eq(checkpoint_fits(&d, c.tensors, path, &err), 0);
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
    leave_dir();
}
END_TEST

START_TEST(optional_groups_may_be_missing)
{
    enter_dir();
    struct checkpoint c = make(0, true, 0), d;
    const char *path = in_dir("init.h5");
    c.m = c.v = c.grads = NULL;
    ck_assert_int_eq(checkpoint_write(&c, path, &err), -1); /* a step in hand without its gradients */
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
    leave_dir();
}
END_TEST

START_TEST(saving_twice_gives_the_same_bytes)
{
    enter_dir();
    size_t m, n;
    write_step(3, in_dir("a.h5"));
    sleep(1); /* a time in the file would differ */
    write_step(3, in_dir("b.h5"));
    unsigned char *a = read_file(in_dir("a.h5"), &m), *b = read_file(in_dir("b.h5"), &n);
    ck_assert_uint_eq(m, n);
    ck_assert(!memcmp(a, b, m));
    write_step(3, in_dir("b.h5")); /* over a file that is there */
    free(b);
    b = read_file(in_dir("b.h5"), &n);
    ck_assert_uint_eq(m, n);
    ck_assert(!memcmp(a, b, m));
    free(a);
    free(b);
    leave_dir();
}
END_TEST

/* A buffer that held another file before, as the writer's does, leaves nothing of it behind; and a copied snapshot is the file
 * that checkpoint_write writes from the arrays. */
START_TEST(a_used_buffer_gives_the_same_bytes)
{
    enter_dir();
    size_t m, n;
    struct snapshot s = {.image.file = -1};
    s.image.capacity = 4 << 20;
    s.image.bytes = malloc(s.image.capacity);
    memset(s.image.bytes, 0xA5, s.image.capacity);
    for (int with_grads = 1; with_grads >= 0; with_grads--) {
        struct checkpoint c = make(3, true, 8);
        c.grads = with_grads ? c.grads : NULL;
        c.state.micro = (uint64_t)with_grads;
        ck_write(&c, in_dir("a.h5"));
        ck_assert_msg(!checkpoint_lay_out(&s, &c, "b", &err), "%s", err.text);
        snapshot_copy(&s);
        memset((float *)c.params, 0xff, 4 * c.tensors->total * sizeof(float)); /* training goes on */
        snapshot_seal(&s);
        ck_assert_ptr_null(s.not_finite);
        ck_assert_int_eq(snapshot_write(&s, in_dir("b.h5"), &err), 0);
        unsigned char *a = read_file(in_dir("a.h5"), &m), *b = read_file(in_dir("b.h5"), &n);
        ck_assert_uint_eq(m, n);
        ck_assert(!memcmp(a, b, m));
        ck_assert_int_eq(image_verify(in_dir("b.h5"), &err), 0);
        free(a);
        free(b);
        destroy(&c);
    }
    snapshot_clear(&s);
    h5_image_free(&s.image);
    leave_dir();
}
END_TEST

START_TEST(a_number_that_is_not_finite_is_named)
{
    struct checkpoint c = make(3, true, 8);
    const float wrong[] = {NAN, INFINITY, -INFINITY};
    for (size_t k = 0; k < c.tensors->count; k++) {
        struct snapshot s = {.image.file = -1};
        const size_t at = c.tensors->total + c.tensors->list[k].offset + tensor_file_size(&c.tensors->list[k]) - 1;
        float *arrays = (float *)c.params;
        const float before = arrays[at];
        arrays[at] = wrong[k % 3];
        ck_assert_int_eq(checkpoint_lay_out(&s, &c, "x", &err), 0);
        snapshot_seal(&s);
        ck_assert_ptr_nonnull(s.not_finite);
        char name[64];
        const int n = snprintf(name, sizeof name, "  adamw/m/%s\n", c.tensors->list[k].name);
        ck_assert(!strncmp(s.not_finite->line + 8, name, (size_t)n));
        arrays[at] = before;
        snapshot_clear(&s);
        h5_image_free(&s.image);
    }
    destroy(&c);
}
END_TEST

/* Two files are open at once, and libhdf5 takes neither for the other. */
START_TEST(two_at_once)
{
    enter_dir();
    struct checkpoint a = make(1, true, 0), b = make(2, true, 0), c, d;
    ck_write(&a, in_dir("a.h5"));
    ck_write(&b, in_dir("b.h5"));
    struct checkpoint_file *f = checkpoint_open(in_dir("a.h5"), &c, &err), *g = checkpoint_open(in_dir("b.h5"), &d, &err);
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
    leave_dir();
}
END_TEST

START_TEST(truncation_is_found)
{
    enter_dir();
    size_t n;
    const char *path = in_dir("t.h5");
    write_step(3, path);
    unsigned char *bytes = read_file(path, &n);
    for (size_t length = 0; length < n; length += length < 600 || length + 600 > n ? 1 : 97) {
        struct checkpoint c;
        ck_assert_int_eq(truncate(path, 0), 0);
        write_file(path, bytes, length);
        ck_assert_ptr_null(checkpoint_open(path, &c, &err));
        ck_assert(strstr(err.text, "truncated") || strstr(err.text, "checksum"));
    }
    write_file(path, bytes, n);
    ck_opens(path);
    bytes[n] = 0;
    write_file(path, bytes, n + 1);
    ck_refused(path, "too long: ");
    free(bytes);
    leave_dir();
}
END_TEST

START_TEST(a_flipped_bit_is_found)
{
    enter_dir();
    size_t n;
    const char *path = in_dir("b.h5");
    write_step(3, path);
    unsigned char *bytes = read_file(path, &n);
    const int fd = open(path, O_WRONLY);
    for (size_t i = 0; i < n; i += i < 600 ? 1 : 41) {
        struct checkpoint c;
        const unsigned char flipped = bytes[i] ^ (unsigned char)(1 << i % 8);
        ck_assert_int_eq(pwrite(fd, &flipped, 1, (off_t)i), 1);
        ck_assert_ptr_null(checkpoint_open(path, &c, &err));
        ck_assert_int_eq(pwrite(fd, bytes + i, 1, (off_t)i), 1);
    }
    close(fd);
    ck_opens(path);
    free(bytes);
    leave_dir();
}
END_TEST

START_TEST(other_files_are_named)
{
    enter_dir();
    char *path = in_dir("x.h5");
    ck_refused(path, "No such file or directory");
    write_file(path, "", 0);
    ck_refused(path, "not a handgrad checkpoint, or truncated: 0 bytes");
    char text[1000] = "some text";
    write_file(path, text, sizeof text);
    ck_refused(path, "not a handgrad checkpoint");
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_refused(path, "not a regular file");
    ck_refused(dir, "not a regular file");
    unsigned char block[600] = {0}; /* a good checksum over no HDF5 file */
    image_seal(block, sizeof block, 0);
    unlink(path);
    write_file(path, block, sizeof block);
    ck_refused(path, "not an HDF5 file");
    leave_dir();
}
END_TEST

/* The same as an attacker would: HDF5 changes the file, and the seal is made good again. */
static hid_t tamper_begin(const char *path)
{
    write_step(3, path);
    h5_lock();
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    ck_assert_int_ge(file, 0);
    return file;
}

static void tamper_end(hid_t file, const char *path)
{
    size_t n;
    ck_assert_int_ge(H5Fclose(file), 0);
    h5_unlock();
    unsigned char *bytes = read_file(path, &n);
    image_seal(bytes, n, 3);
    write_file(path, bytes, n);
    free(bytes);
}

static void put_dataset(hid_t file, const char *name, hid_t type, int ndim, const hsize_t *dims, hid_t create)
{
    const hid_t space = H5Screate_simple(ndim, dims, NULL);
    H5Ldelete(file, name, H5P_DEFAULT);
    const hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    ck_assert_int_ge(dataset, 0);
    static const float zeros[1000];
    H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros);
    H5Dclose(dataset);
    H5Sclose(space);
}

START_TEST(shapes_and_types_are_exact)
{
    enter_dir();
    char *path = in_dir("s.h5");
    const hsize_t good[] = {5, 12}, bad[][3] = {{7, 12, 1}, {12, 5, 1}, {60, 1, 1}, {5, 12, 1}};
    const int ndims[] = {2, 2, 1, 3};
    static const char *const lines[] = {"(7,12)", "(12,5)", "(60)", "(5,12,1)"};
    for (int i = 0; i < 4; i++) {
        char line[128];
        const hid_t file = tamper_begin(path);
        put_dataset(file, "params/wte.weight", H5T_IEEE_F32LE, ndims[i], bad[i], H5P_DEFAULT);
        tamper_end(file, path);
        snprintf(line, sizeof line, "params/wte.weight: shape %s, expected (5,12)", lines[i]);
        ck_refused(path, line);
    }
    const hid_t types[] = {H5T_IEEE_F32BE, H5T_IEEE_F64LE, H5T_STD_I32LE};
    for (int i = 0; i < 3; i++) {
        const hid_t file = tamper_begin(path);
        put_dataset(file, "params/wte.weight", types[i], 2, good, H5P_DEFAULT);
        tamper_end(file, path);
        ck_refused(path, "params/wte.weight: expected little-endian float32");
    }
    hid_t file = tamper_begin(path);
    put_dataset(file, "params/wte.weight", H5T_IEEE_F32LE, 2, good, H5P_DEFAULT);
    tamper_end(file, path);
    ck_opens(path);
    leave_dir();
}
END_TEST

START_TEST(nothing_leads_out_of_the_file)
{
    enter_dir();
    char *path = in_dir("o.h5");
    const hsize_t dims[] = {5, 12};
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(create, in_dir("outside"), 0, 240);
    hid_t file = tamper_begin(path);
    put_dataset(file, "params/wte.weight", H5T_IEEE_F32LE, 2, dims, create);
    tamper_end(file, path);
    ck_refused(path, "params/wte.weight: expected a contiguous dataset in this file");
    H5Pclose(create);

    create = H5Pcreate(H5P_DATASET_CREATE);
    const hid_t space = H5Screate_simple(2, dims, NULL);
    H5Pset_virtual(create, space, "other.h5", "x", space);
    H5Sclose(space);
    file = tamper_begin(path);
    put_dataset(file, "params/wte.weight", H5T_IEEE_F32LE, 2, dims, create);
    tamper_end(file, path);
    ck_refused(path, "params/wte.weight: expected a contiguous dataset in this file");
    H5Pclose(create);

    create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(create, 2, dims);
    file = tamper_begin(path);
    put_dataset(file, "params/wte.weight", H5T_IEEE_F32LE, 2, dims, create);
    tamper_end(file, path);
    ck_refused(path, "params/wte.weight: expected a contiguous dataset in this file");
    H5Pclose(create);

    file = tamper_begin(path);
    H5Ldelete(file, "params/wpe.weight", H5P_DEFAULT);
    H5Lcreate_soft("/adamw/m/wpe.weight", file, "params/wpe.weight", H5P_DEFAULT, H5P_DEFAULT);
    tamper_end(file, path);
    ck_refused(path, "params/wpe.weight: missing");

    file = tamper_begin(path);
    H5Ldelete(file, "params", H5P_DEFAULT);
    H5Lcreate_external("other.h5", "/params", file, "params", H5P_DEFAULT, H5P_DEFAULT);
    tamper_end(file, path);
    ck_refused(path, "params: missing");
    leave_dir();
}
END_TEST

static void put_string(hid_t file, const char *name, const char *value)
{
    H5Adelete(file, name);
    ck_assert_int_eq(h5_write_string(file, name, value, "test", &err), 0);
}

START_TEST(contents_must_agree)
{
    enter_dir();
    char *path = in_dir("c.h5");
    const hsize_t one = 1;
    hid_t file = tamper_begin(path);
    put_dataset(file, "params/one.more", H5T_IEEE_F32LE, 1, &one, H5P_DEFAULT);
    tamper_end(file, path);
    ck_refused(path, "params: expected 28 tensors and nothing else");

    file = tamper_begin(path);
    put_string(file, "config", "[model]\nn_layers = 3\n");
    tamper_end(file, path);
    ck_refused(path, "config:2: unknown key model.n_layers; did you mean model.n_layer?");

    file = tamper_begin(path);
    put_string(file, "config", "[model]\nn_embd = 65536\nn_layer = 1024\n");
    tamper_end(file, path);
    ck_refused(path, "micro: expected less than train.accumulate 1, got 1");

    file = tamper_begin(path);
    put_string(file, "config", "[model]\nn_embd = 65536\nn_layer = 1024\n[train]\naccumulate = 2\n");
    tamper_end(file, path);
    ck_refused(path, "expected 52776696938496 parameters, more than the file has room for");

    file = tamper_begin(path);
    put_string(file, "format", "another");
    tamper_end(file, path);
    ck_refused(path, "format: expected \"handgrad checkpoint\", got \"another\"");

    file = tamper_begin(path);
    H5Adelete(file, "best_step");
    tamper_end(file, path);
    ck_refused(path, "attribute best_step is missing");

    file = tamper_begin(path);
    H5Adelete(file, "step");
    h5_write_u64(file, "step", 4, "test", &err);
    tamper_end(file, path);
    ck_refused(path, "step: 3 in the user block, 4 in the attribute");

    file = tamper_begin(path);
    H5Ldelete(file, "grads", H5P_DEFAULT);
    tamper_end(file, path);
    ck_refused(path, "grads: missing, though 1 micro-batches of a step are done");

    file = tamper_begin(path);
    H5Ldelete(file, "tokenizer", H5P_DEFAULT);
    tamper_end(file, path);
    ck_refused(path, "model.vocab_size: expected a number of symbols, since there is no tokenizer");
    leave_dir();
}
END_TEST

START_TEST(a_damaged_tensor_is_named)
{
    enter_dir();
    char *path = in_dir("d.h5");
    size_t n;
    struct checkpoint c = make(3, true, 0), d;
    float *array = malloc(c.tensors->total * sizeof *array);
    for (size_t k = 0; k < c.tensors->count; k += 5) {
        const struct tensor *t = &c.tensors->list[k];
        ck_write(&c, path);
        unsigned char *bytes = read_file(path, &n);
        unsigned char *at = memmem(bytes, n, c.v + t->offset, 4 * tensor_file_size(t));
        ck_assert_ptr_nonnull(at);
        at[4 * tensor_file_size(t) - 3] ^= 4;
        image_seal(bytes, n, 3); /* the damage is older than the seal */
        write_file(path, bytes, n);
        free(bytes);
        struct checkpoint_file *f = checkpoint_open(path, &d, &err);
        ck_assert_msg(f, "%s", err.text);
        ck_assert_int_eq(checkpoint_read(f, "params", array, &err), 0);
        ck_assert_int_eq(checkpoint_read(f, "adamw/v", array, &err), -1);
        char expected[128];
        snprintf(expected, sizeof expected, "/d.h5: adamw/v/%s: damaged", t->name);
        ck_assert_msg(strstr(err.text, expected), "%s", err.text);
        checkpoint_close(f);
    }
    free(array);
    destroy(&c);
    leave_dir();
}
END_TEST

START_TEST(another_shape_is_named)
{
    struct checkpoint a = make(1, true, 0), b = make(1, false, 7);
    ck_assert_int_eq(checkpoint_fits(&a, b.tensors, "ckpt.h5", &err), -1);
    ck_assert_str_eq(err.text, "ckpt.h5: params/wte.weight: shape (5,12), expected (7,12)");
    ck_assert_int_eq(config_set(&a.config, "model.n_layer=1", &err), 0);
    ck_assert_int_eq(checkpoint_write(&a, "ckpt.h5", &err), -1); /* the arrays are not the configuration's */
    ck_assert_ptr_nonnull(strstr(err.text, "ckpt.h5: params/h.1.ln_1.weight, expected ln_f.weight"));
    ck_assert_int_eq(config_set(&a.config, "model.n_layer=2", &err), 0);
    ck_assert_int_eq(checkpoint_fits(&a, a.tensors, "ckpt.h5", &err), 0);
    destroy(&a);
    destroy(&b);
}
END_TEST

START_TEST(a_failed_save_leaves_the_old_file)
{
    enter_dir();
    size_t m, n;
    char *path = in_dir("ckpt.h5");
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
    ck_write(&c, path); /* and the next one succeeds */
    ck_opens(path);
    free(before);
    free(after);
    ck_assert_int_eq(checkpoint_write(&c, in_dir("none/ckpt.h5"), &err), -1);
    destroy(&c);
    leave_dir();
}
END_TEST

static void write_steps(const uint64_t *steps, size_t n)
{
    char path[512];
    for (size_t i = 0; i < n; i++) {
        ck_assert_int_eq(checkpoint_path(dir, steps[i], path, sizeof path, &err), 0);
        write_step(steps[i], path);
    }
}

static void flip(const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    ck_assert_ptr_nonnull(f);
    fseek(f, at, SEEK_SET);
    const int c = getc(f);
    fseek(f, at, SEEK_SET);
    putc(c ^ 16, f);
    fclose(f);
}

static void ck_newest(const char *name)
{
    char path[512];
    if (checkpoint_newest(dir, path, sizeof path, &err))
        ck_abort_msg("%s", err.text);
    ck_assert_str_eq(path, in_dir(name));
}

START_TEST(the_newest_that_verifies)
{
    enter_dir();
    char path[512];
    ck_assert_int_eq(checkpoint_newest(dir, path, sizeof path, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "expected a checkpoint ckpt-STEP.h5, found none"));
    write_steps((const uint64_t[]){9, 10, 100}, 3);
    write_file(in_dir("ckpt-1000.h5.tmp"), "x", 1);
    write_file(in_dir("ckpt-x.h5"), "x", 1);
    write_file(in_dir("ckpt-.h5"), "x", 1);
    write_file(in_dir("ckpt-99999999999999999999.h5"), "x", 1);
    write_file(in_dir("best.h5"), "x", 1);
    ck_newest("ckpt-100.h5");
    ck_assert_int_eq(checkpoint_newest(dir, path, 8, &err), -1);
    FILE *stderr_file = freopen(in_dir("stderr"), "w", stderr);
    ck_assert_ptr_nonnull(stderr_file);
    ck_assert_int_eq(truncate(in_dir("ckpt-100.h5"), 3000), 0);
    ck_newest("ckpt-10.h5");
    fflush(stderr);
    size_t n;
    unsigned char *said = read_file(in_dir("stderr"), &n);
    said[n] = 0;
    ck_assert_ptr_nonnull(strstr((char *)said, "handgrad: passing over "));
    ck_assert_ptr_nonnull(strstr((char *)said, "/ckpt-100.h5: truncated: "));
    free(said);
    ck_assert_int_eq(truncate(in_dir("ckpt-10.h5"), 0), 0);
    ck_assert_int_eq(truncate(in_dir("ckpt-9.h5"), 700), 0);
    ck_assert_int_eq(checkpoint_newest(dir, path, sizeof path, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "none of its 3 checkpoints can be read"));
    leave_dir();
    ck_assert_int_eq(checkpoint_newest(dir, path, sizeof path, &err), -1);
    ck_assert_ptr_nonnull(strstr(err.text, "No such file or directory"));
}
END_TEST

START_TEST(rotation_keeps_the_newest)
{
    struct verified v = {0};
    enter_dir();
    write_steps((const uint64_t[]){8, 9, 10, 11, 100}, 5);
    write_file(in_dir("best.h5"), "x", 1);
    write_file(in_dir("ckpt-best.h5"), "x", 1);
    write_file(in_dir(".ckpt-12.h5.0a1b2c.tmp"), "x", 1); /* of a writer that was killed */
    write_file(in_dir(".notes.h5.tmp"), "x", 1);
    ck_assert_int_eq(checkpoint_rotate(dir, 3, &v, &err), 0);
    ck_assert_uint_eq(count_files(), 6);
    ck_assert(!access(in_dir("ckpt-10.h5"), F_OK) && !access(in_dir("ckpt-11.h5"), F_OK) && !access(in_dir("ckpt-100.h5"), F_OK));
    ck_assert(!access(in_dir(".notes.h5.tmp"), F_OK));
    ck_assert_int_eq(checkpoint_rotate(dir, 3, &v, &err), 0);
    ck_assert_uint_eq(count_files(), 6);
    ck_assert_int_eq(checkpoint_rotate(dir, 0, &v, &err), 0); /* never the last */
    ck_assert_uint_eq(count_files(), 4);
    ck_newest("ckpt-100.h5");
    leave_dir();
    ck_assert_int_eq(checkpoint_rotate(dir, 3, &v, &err), -1);
    verified_clear(&v);
}
END_TEST

/* A damaged file neither counts as one of those that stay nor pushes a good one out. */
START_TEST(rotation_counts_what_verifies)
{
    struct verified v = {0};
    enter_dir();
    write_steps((const uint64_t[]){8, 9, 10, 11, 12}, 5);
    ck_assert_int_eq(truncate(in_dir("ckpt-12.h5"), 9000), 0);
    flip(in_dir("ckpt-10.h5"), 5000);
    ck_assert_int_eq(checkpoint_rotate(dir, 2, &v, &err), 0); /* 11 and 9 are the good ones */
    ck_assert_uint_eq(count_files(), 4);
    ck_assert(access(in_dir("ckpt-8.h5"), F_OK));
    ck_newest("ckpt-11.h5");
    write_steps((const uint64_t[]){13}, 1);
    ck_assert_int_eq(verified_add(&v, 13), 0);
    ck_assert_int_eq(checkpoint_rotate(dir, 2, &v, &err), 0); /* the damaged 12 is still newer than the second good one */
    ck_assert_uint_eq(count_files(), 3);
    ck_assert(!access(in_dir("ckpt-11.h5"), F_OK) && !access(in_dir("ckpt-12.h5"), F_OK));
    flip(in_dir("ckpt-13.h5"), 5000);
    flip(in_dir("ckpt-11.h5"), 5000);
    verified_clear(&v);
    ck_assert_int_eq(checkpoint_rotate(dir, 2, &v, &err), 0); /* with none that is good all stay */
    ck_assert_uint_eq(count_files(), 3);
    ck_assert_int_eq(checkpoint_drop_after(dir, 11, &err), 0);
    ck_assert_uint_eq(count_files(), 1);
    verified_clear(&v);
    leave_dir();
}
END_TEST

/* libhdf5 must not look at the disk at all: a save over a file of the same name neither reads nor opens that file. */
START_TEST(only_our_code_touches_the_disk)
{
    enter_dir();
    char *path = in_dir("ckpt.h5");
    struct checkpoint c = make(1, true, 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0); /* opening it would hang */
    ck_write(&c, path);
    ck_opens(path);
    destroy(&c);
    leave_dir();
}
END_TEST

SUITE("train/checkpoint", round_trip_is_bit_exact, optional_groups_may_be_missing, saving_twice_gives_the_same_bytes,
      a_used_buffer_gives_the_same_bytes, a_number_that_is_not_finite_is_named, a_damaged_tensor_is_named, two_at_once,
      truncation_is_found, a_flipped_bit_is_found, other_files_are_named, shapes_and_types_are_exact,
      nothing_leads_out_of_the_file, contents_must_agree, another_shape_is_named, a_failed_save_leaves_the_old_file,
      the_newest_that_verifies, rotation_keeps_the_newest, rotation_counts_what_verifies, only_our_code_touches_the_disk)
