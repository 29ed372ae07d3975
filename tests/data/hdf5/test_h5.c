/* test_h5.c: HDF5 files: laid out in memory, attributes, and files that are none. */
#include "base/atomic.h"
#include "data/hdf5/h5.h"
#include "tests/data_fixture.h"
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* An image with some attributes, written to a file and opened again. */
static struct h5_reader *reopened(const char *path, void (*fill)(hid_t root))
{
    struct h5_image image;
    OK(h5_image_create(&image, path, &err));
    fill(image.file);
    OK(h5_image_finish(&image, path, &err));
    OK(atomic_write(path, image.bytes, image.size, &err));
    h5_image_free(&image);
    struct h5_reader *file = h5_open(path, &err);
    ck_assert_msg(file, "%s", err.text);
    return file;
}

static char *long_text(void)
{
    const size_t n = 300000; /* beyond the 64 KiB of an object header */
    char *text = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        text[i] = (char)('a' + i * i % 26);
    text[n] = '\0';
    return text;
}

static void fill_attributes(hid_t root)
{
    char *text = long_text();
    OK(h5_write_u64(root, "zero", 0, "f", &err));
    OK(h5_write_u64(root, "largest", UINT64_MAX, "f", &err));
    OK(h5_write_f64(root, "third", 1.0 / 3, "f", &err));
    OK(h5_write_string(root, "empty", "", "f", &err));
    OK(h5_write_string(root, "text", "grüße", "f", &err));
    OK(h5_write_string(root, "long", text, "f", &err));
    free(text);
    const hid_t space = H5Screate(H5S_SCALAR), four = H5Screate_simple(1, (hsize_t[]){4}, NULL);
    const int64_t minus = -1, plus = 5;
    hid_t a = H5Acreate2(root, "minus", H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(a, H5T_NATIVE_INT64, &minus);
    H5Aclose(a);
    a = H5Acreate2(root, "plus", H5T_STD_I32BE, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(a, H5T_NATIVE_INT64, &plus);
    H5Aclose(a);
    H5Aclose(H5Acreate2(root, "four", H5T_STD_U64LE, four, H5P_DEFAULT, H5P_DEFAULT));
    const hid_t variable = H5Tcopy(H5T_C_S1);
    H5Tset_size(variable, H5T_VARIABLE);
    a = H5Acreate2(root, "variable", variable, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(a, variable, &(const char *){"text"});
    H5Aclose(a);
    H5Tclose(variable);
    H5Sclose(space);
    H5Sclose(four);
}

START_TEST(attributes)
{
    enter_folder();
    h5_lock();
    struct h5_reader *file = reopened(in_folder("a.h5"), fill_attributes);
    h5_unlock();
    const struct h5_node f = h5_root(file);
    uint64_t u = 1;
    double x;
    char *s;
    OK(h5_read_u64(f, "zero", &u, &err));
    ck_assert_uint_eq(u, 0);
    OK(h5_read_u64(f, "largest", &u, &err));
    ck_assert(u == UINT64_MAX);
    OK(h5_read_u64(f, "plus", &u, &err));
    ck_assert_uint_eq(u, 5);
    OK(h5_read_f64(f, "third", &x, &err));
    ck_assert(x == 1.0 / 3);
    OK(h5_read_string(f, "empty", &s, &err));
    ck_assert_str_eq(s, "");
    free(s);
    OK(h5_read_string(f, "text", &s, &err));
    ck_assert_str_eq(s, "grüße");
    free(s);
    char *text = long_text();
    OK(h5_read_string(f, "long", &s, &err));
    ck_assert(strcmp(s, text) == 0);
    free(s), free(text);

    FAILS(h5_read_u64(f, "none", &u, &err), "a.h5: attribute none is missing");
    FAILS(h5_read_u64(f, "minus", &u, &err), "attribute minus: expected one integer from 0");
    FAILS(h5_read_u64(f, "third", &u, &err), "attribute third: expected one integer");
    FAILS(h5_read_u64(f, "four", &u, &err), "attribute four: expected one integer");
    FAILS(h5_read_f64(f, "zero", &x, &err), "attribute zero: expected one floating-point number");
    FAILS(h5_read_string(f, "zero", &s, &err), "attribute zero: expected one string");
    FAILS(h5_read_string(f, "variable", &s, &err), "of fixed length");
    ck_assert_ptr_null(s);
    h5_close(file);
    ck_assert(nothing_open());
}
END_TEST

START_TEST(other_files_are_rejected)
{
    enter_folder();
    FAILS(!h5_open(in_folder("none.h5"), &err), "none.h5: No such file");
    FAILS(!h5_open(folder, &err), "not a regular file");
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0666), 0);
    FAILS(!h5_open(in_folder("pipe"), &err), "not a regular file");
    write_file(in_folder("text"), "hello\n", 6);
    FAILS(!h5_open(in_folder("text"), &err), "text: not an HDF5 file");
    write_file(in_folder("empty"), "", 0);
    FAILS(!h5_open(in_folder("empty"), &err), "empty: not an HDF5 file");
    ck_assert_int_eq(symlink("text", in_folder("link")), 0);
    FAILS(!h5_open(in_folder("link"), &err), "link: symbolic links are not followed");
    ck_assert(nothing_open());
}
END_TEST

/* An image that is given up leaves nothing, neither in memory (the sanitizers look) nor on the
 * disk. */
START_TEST(images_stay_in_memory)
{
    enter_folder();
    ck_assert_int_eq(chdir(folder), 0);
    struct h5_image image;
    OK(h5_image_create(&image, "image.h5", &err));
    OK(h5_write_u64(image.file, "x", 1, "image.h5", &err));
    ck_assert_uint_eq(count_files(), 0);
    h5_image_free(&image);
    h5_image_free(&image);
    /* with something still open in it */
    OK(h5_image_create(&image, "image.h5", &err));
    const hid_t d = h5_dataset_create(image.file, "d", TYPE_U16, 100, 0, "image.h5", &err);
    ck_assert(d >= 0);
    h5_image_free(&image);
    ck_assert_uint_eq(count_files(), 0);
    ck_assert(nothing_open());
}
END_TEST

/* A file that a process was writing when it ended is reported as such, not as damaged. */
START_TEST(files_left_open)
{
    enter_folder();
    const char *path = in_folder("open.h5");
    const pid_t pid = fork();
    if (pid == 0) {
        const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
        H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
        const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access);
        _exit(H5Fstart_swmr_write(file) < 0 || H5Fflush(file, H5F_SCOPE_GLOBAL) < 0);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    FAILS(!h5_open(path, &err), "open.h5: was left open by a program that writes it");
    EXPECT(strstr(err.text, "h5clear -s makes it readable"));
    char bytes[40];
    FILE *f = fopen(path, "r+");
    ck_assert_uint_eq(fread(bytes, 1, sizeof bytes, f), sizeof bytes);
    fclose(f);
    bytes[11] = 0; /* the flags */
    write_file(path, bytes, sizeof bytes);
    FAILS(!h5_open(path, &err), "open.h5: ");
    EXPECT(!strstr(err.text, "left open"));
    ck_assert(nothing_open());
}
END_TEST

SUITE("data/hdf5/h5", files_left_open, attributes, other_files_are_rejected, images_stay_in_memory)
