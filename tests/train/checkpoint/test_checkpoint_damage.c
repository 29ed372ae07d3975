/* test_checkpoint_damage.c: other files, damaged and forged checkpoints are refused with an error
 * that names the reason. */
#include "data/hdf5/h5.h"
#include "tests/checkpoint_fixture.h"
#include "tests/seal.h"
#include <fcntl.h>
#include <sys/stat.h>

/* Checks that the file does not open and that the error begins with "PATH: " and the expected
 * text. */
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

START_TEST(truncation_is_detected)
{
    enter_folder();
    size_t n;
    const char *path = in_folder("t.h5");
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
}
END_TEST

START_TEST(a_flipped_bit_is_detected)
{
    enter_folder();
    size_t n;
    const char *path = in_folder("b.h5");
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
}
END_TEST

START_TEST(other_files_are_refused)
{
    enter_folder();
    const char *path = in_folder("x.h5");
    ck_refused(path, "No such file or directory");
    write_file(path, "", 0);
    ck_refused(path, "not a handgrad checkpoint, or truncated: 0 bytes");
    char text[1000] = "some text";
    write_file(path, text, sizeof text);
    ck_refused(path, "not a handgrad checkpoint");
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_refused(path, "not a regular file");
    ck_refused(folder, "a directory, not a regular file");
    unsigned char block[600] = {0}; /* correct checksums, but not an HDF5 file */
    seal(block, sizeof block, 0);
    unlink(path);
    write_file(path, block, sizeof block);
    ck_refused(path, "not an HDF5 file");
}
END_TEST

START_TEST(a_damaged_tensor_is_named)
{
    enter_folder();
    const char *path = in_folder("d.h5");
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
        seal(bytes, n, 3); /* damaged before the file was checksummed */
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
}
END_TEST

/* With correct checksums. libhdf5 crashes if it looks up the links of a large group by name and one
 * of them cannot be read. */
START_TEST(a_damaged_group_is_refused)
{
    enter_folder();
    const char *path = in_folder("g.h5");
    size_t n, blocks = 0;
    write_step(3, path);
    unsigned char *bytes = read_file(path, &n);
    for (unsigned char *at = bytes; (at = memmem(at, n - (size_t)(at - bytes), "FHDB", 4));
         at++, blocks++)
        for (size_t i = 0; i < 400; i += 23) { /* header and first links of a group's heap block */
            struct checkpoint c;
            ck_assert_uint_lt((size_t)(at - bytes) + i, n);
            at[i] ^= 1;
            seal(bytes, n, 3);
            write_file(path, bytes, n);
            ck_assert_ptr_null(checkpoint_open(path, &c, &err));
            ck_assert_msg(!strstr(err.text, "crash"), "%s", err.text);
            at[i] ^= 1;
        }
    ck_assert_uint_gt(blocks, 0);
    free(bytes);
}
END_TEST

/* --- forged --- */

/* As an attacker would: modifies the file with HDF5, then corrects the checksums. */
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
    seal(bytes, n, 3);
    write_file(path, bytes, n);
    free(bytes);
}

static void put_dataset(hid_t file, const char *name, hid_t type, int ndim, const hsize_t *dims,
                        hid_t create)
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

START_TEST(shapes_and_types_must_match)
{
    enter_folder();
    const char *path = in_folder("s.h5");
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
}
END_TEST

START_TEST(references_to_other_files_are_refused)
{
    enter_folder();
    const char *path = in_folder("o.h5");
    const hsize_t dims[] = {5, 12};
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(create, in_folder("outside"), 0, 240);
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
}
END_TEST

static void put_string(hid_t file, const char *name, const char *value)
{
    H5Adelete(file, name);
    ck_assert_int_eq(h5_write_string(file, name, value, "test", &err), 0);
}

START_TEST(contents_must_be_consistent)
{
    enter_folder();
    const char *path = in_folder("c.h5");
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
    put_string(file, "config",
               "[model]\nn_embd = 65536\nn_layer = 1024\n[train]\naccumulate = 2\n");
    tamper_end(file, path);
    ck_refused(path, "expected 52776696938496 parameters, more than fit in the file");

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
}
END_TEST

/* Older files do not contain the number of tokens; it is computed from the current step size. */
START_TEST(older_files_without_tokens)
{
    enter_folder();
    const char *path = in_folder("t.h5");
    struct checkpoint c;
    const hid_t file = tamper_begin(path);
    ck_assert_int_ge(H5Adelete(file, "tokens"), 0);
    tamper_end(file, path);
    struct checkpoint_file *f = checkpoint_open(path, &c, &err);
    ck_assert_msg(f, "%s", err.text);
    ck_assert_uint_eq(c.state.tokens, 3 * c.config.train.batch_size * c.config.train.accumulate *
                                          c.config.model.block_size);
    checkpoint_close(f);
}
END_TEST

SUITE("train/checkpoint damage", truncation_is_detected, a_flipped_bit_is_detected,
      other_files_are_refused, a_damaged_tensor_is_named, a_damaged_group_is_refused,
      shapes_and_types_must_match, references_to_other_files_are_refused,
      contents_must_be_consistent, older_files_without_tokens)
