/* test_data_files.c: error lines, whole files, and attributes of HDF5 files. */
#include "../data/atomic.h"
#include "../data/h5.h"
#include "data_fixture.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* In the place of libc's: a file system that says that it takes direct writes, and takes none, where a test asks for one. */
static bool refuse_direct;
static size_t refusals;

ssize_t write(int fd, const void *bytes, size_t size)
{
    if (refuse_direct && fcntl(fd, F_GETFL) & O_DIRECT) {
        refusals++;
        errno = EINVAL;
        return -1;
    }
    return syscall(SYS_write, fd, bytes, size);
}

static size_t count_entries(const char *path)
{
    DIR *d = opendir(path);
    size_t n = 0;
    for (const struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

START_TEST(error_lines)
{
    struct error e;
    ck_assert_int_eq(fail(&e, "%s: %d", "file", 7), -1);
    ck_assert_str_eq(e.text, "file: 7");
    ck_assert_int_eq(fail(&e, "outer: %s", e.text), -1); /* may quote itself */
    ck_assert_str_eq(e.text, "outer: file: 7");
    fail(&e, "%s", "a\nb\033[2J\x7F\xC2\x85 é");
    ck_assert_str_eq(e.text, "a?b?[2J??? é");
    ck_assert_int_eq(fail(NULL, "nobody listens"), -1);
    /* Too long: cut before a character, never inside. */
    for (size_t pad = 0; pad < 4; pad++) {
        char text[2 * sizeof e.text] = "";
        memset(text, 'x', pad);
        for (size_t i = pad; i + 4 < sizeof text; i += 3)
            memcpy(text + i, "€", 4);
        fail(&e, "%s", text);
        const size_t n = strlen(e.text);
        ck_assert(n < sizeof e.text && n > sizeof e.text - 10);
        ck_assert_str_eq(e.text + n - 3, "...");
        ck_assert_uint_eq((n - 3 - pad) % 3, 0);
    }
}
END_TEST

static void check_contents(const char *path, const char *expected)
{
    size_t size;
    unsigned char *bytes = read_file(path, &size);
    ck_assert_uint_eq(size, strlen(expected));
    ck_assert(memcmp(bytes, expected, size) == 0);
    free(bytes);
}

START_TEST(atomic_write_replaces)
{
    enter_folder();
    const char *path = in_folder("file");
    OK(atomic_write(path, "head", 4, " body", 5, &err));
    check_contents(path, "head body");
    OK(atomic_write(path, NULL, 0, "second", 6, &err));
    check_contents(path, "second");
    OK(atomic_write(path, NULL, 0, NULL, 0, &err));
    check_contents(path, "");
    ck_assert_uint_eq(count_entries(folder), 1);
    /* a name without a folder; and many pieces */
    ck_assert_int_eq(chdir(folder), 0);
    OK(atomic_write("plain", NULL, 0, "x", 1, &err));
    const size_t n = 70 << 20;
    char *big = calloc(n, 1);
    big[n - 1] = 'z';
    OK(atomic_write("big", "h", 1, big, n, &err));
    struct stat s;
    ck_assert_int_eq(stat("big", &s), 0);
    ck_assert_uint_eq((size_t)s.st_size, n + 1);
    free(big);
    ck_assert_uint_eq(count_entries(folder), 3);
    ck_assert(nothing_open());
}
END_TEST

/* Large pieces on pages go past the page cache, others do not; either way each byte is where it belongs. */
static void write_mixed(const char *path)
{
    enum { PAGE = 4096, N = 5 << 20 };
    unsigned char *bytes = aligned_alloc(PAGE, N);
    for (size_t i = 0; i < N; i++)
        bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    const struct piece whole = {bytes, N}, odd = {bytes, N - 1}, small = {bytes, 3}, page = {bytes, PAGE},
                       off = {bytes + 1, N - 1};
    const struct piece lists[][4] = {
        {whole},           {odd}, {small, whole}, {odd, whole}, {whole, small}, {page, whole, odd, small}, {off, whole},
        {whole, off, page}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        size_t size, at = 0;
        OK(atomic_write_pieces(path, lists[i], 4, &err));
        unsigned char *got = read_file(path, &size);
        for (size_t k = 0; k < 4; at += lists[i][k++].size)
            ck_assert(at + lists[i][k].size <= size &&
                      (!lists[i][k].size || memcmp(got + at, lists[i][k].bytes, lists[i][k].size) == 0));
        ck_assert_uint_eq(size, at);
        free(got);
    }
    free(bytes);
    ck_assert(nothing_open());
}

START_TEST(atomic_write_of_large_pieces)
{
    enter_folder();
    write_mixed(in_folder("file"));
    if (access("/dev/shm", W_OK) == 0) { /* a file system that is nothing but a page cache */
        char path[64];
        snprintf(path, sizeof path, "/dev/shm/handgrad-test-%d", (int)getpid());
        write_mixed(path);
        unlink(path);
    }
}
END_TEST

/* Every piece could go the direct way: it is tried once. */
START_TEST(atomic_write_remembers_a_refusal)
{
    enter_folder();
    refuse_direct = true;
    write_mixed(in_folder("file"));
    refusals = 0;
    void *bytes = aligned_alloc(4096, 3 << 20);
    memset(bytes, 'x', 3 << 20);
    const struct piece piece = {bytes, 1 << 20}, pieces[] = {piece, {(char *)bytes + (1 << 20), 2 << 20}, piece};
    OK(atomic_write_pieces(in_folder("file"), pieces, 3, &err));
    refuse_direct = false;
    ck_assert_uint_eq(refusals, 1);
    free(bytes);
}
END_TEST

/* How many of the file's pages are in memory. */
static size_t cached_pages(const char *path, size_t pages)
{
    const int fd = open(path, O_RDONLY);
    void *map = mmap(NULL, pages * 4096, PROT_READ, MAP_SHARED, fd, 0);
    unsigned char *in = calloc(pages, 1);
    size_t count = 0;
    ck_assert(map != MAP_FAILED && mincore(map, pages * 4096, in) == 0);
    for (size_t i = 0; i < pages; i++)
        count += in[i] & 1;
    munmap(map, pages * 4096);
    close(fd);
    free(in);
    return count;
}

START_TEST(atomic_write_spares_the_page_cache)
{
    enter_folder();
    const size_t n = 8 << 20;
    void *bytes = aligned_alloc(4096, n);
    memset(bytes, 'x', n);
    const int fd = open(in_folder("probe"), O_RDWR | O_CREAT | O_DIRECT, 0600);
    const bool direct = fd >= 0 && write(fd, bytes, 4096) == 4096;
    if (fd >= 0)
        close(fd);
    OK(atomic_write(in_folder("file"), bytes, n, NULL, 0, &err));
    if (direct)
        ck_assert_uint_le(cached_pages(in_folder("file"), n / 4096), 512);

    /* The disk is full in the middle of it. */
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = 5000000, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const int midway = atomic_write(in_folder("file"), bytes, n, NULL, 0, &err);
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    ck_assert_int_eq(midway, -1);
    ck_assert_msg(strstr(err.text, "writing: File too large"), "%s", err.text);
    ck_assert_uint_eq(count_entries(folder), 2);
    free(bytes);
}
END_TEST

START_TEST(atomic_write_fails_and_leaves_the_old)
{
    enter_folder();
    const char *path = in_folder("file");
    OK(atomic_write(path, NULL, 0, "old", 3, &err));

    /* The disk is full, as a limit on the size of files lets it seem; at once, and in the middle of the second part. */
    signal(SIGXFSZ, SIG_IGN);
    char *big = calloc(1 << 20, 1);
    struct rlimit limit = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const int at_once = atomic_write(path, NULL, 0, "new", 3, &err);
    limit.rlim_cur = 5000;
    setrlimit(RLIMIT_FSIZE, &limit);
    const int midway = atomic_write(path, "head", 4, big, 1 << 20, &err);
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    free(big);
    ck_assert_int_eq(at_once, -1);
    ck_assert_int_eq(midway, -1);
    ck_assert_msg(strstr(err.text, path) && strstr(err.text, "File too large"), "%s", err.text);
    check_contents(path, "old");
    ck_assert_uint_eq(count_entries(folder), 1);

    /* The name is a folder's. */
    ck_assert_int_eq(mkdir(in_folder("sub"), 0777), 0);
    FAILS(atomic_write(in_folder("sub"), NULL, 0, "x", 1, &err), "Is a directory");
    ck_assert_uint_eq(count_entries(folder), 2);
    FAILS(atomic_write(in_folder("none/x"), NULL, 0, "x", 1, &err), "none/x: cannot create a file in this folder: No such");
    FAILS(atomic_write("", NULL, 0, "x", 1, &err), "No such file");
    FAILS(atomic_write(in_folder(""), NULL, 0, "x", 1, &err), "cannot create");

    if (geteuid() != 0) { /* nothing is unwritable to root */
        chmod(folder, 0555);
        FAILS(atomic_write(path, NULL, 0, "new", 3, &err), "Permission denied");
        chmod(folder, 0755);
    }
    FAILS(atomic_write("/proc/handgrad", NULL, 0, "x", 1, &err), "/proc/handgrad: cannot create");
    check_contents(path, "old");
    ck_assert(nothing_open());
}
END_TEST

/* Killed at any moment: the name has the old contents or the new, and what else lies there is known as a leftover. */
START_TEST(atomic_write_survives_a_kill)
{
    enter_folder();
    const char *path = in_folder("file");
    const size_t n = 4 << 20;
    char *a = malloc(n), *b = malloc(n);
    memset(a, 'a', n), memset(b, 'b', n);
    OK(atomic_write(path, NULL, 0, a, n, &err));
    for (int round = 0; round < 20; round++) {
        const pid_t child = fork();
        if (child == 0)
            for (;;) {
                atomic_write(path, NULL, 0, b, n, NULL);
                atomic_write(path, NULL, 0, a, n, NULL);
            }
        usleep((useconds_t)random_below(20000));
        kill(child, SIGKILL);
        size_t size;
        unsigned char *bytes = read_file(path, &size);
        ck_assert_uint_eq(size, n);
        ck_assert(memcmp(bytes, bytes[0] == 'a' ? a : b, n) == 0);
        free(bytes);
    }
    free(a), free(b);
    DIR *d = opendir(folder);
    for (const struct dirent *e; (e = readdir(d));)
        ck_assert_msg(strcmp(e->d_name, "file") == 0 || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
                          atomic_is_leftover(e->d_name, "file"),
                      "%s", e->d_name);
    closedir(d);
    ck_assert(nothing_open());
}
END_TEST

START_TEST(leftovers_are_known)
{
    ck_assert(atomic_is_leftover(".a.h5.0123ef.tmp", "a.h5"));
    ck_assert(!atomic_is_leftover(".a.h5.0123ef.tmp", "a.h"));
    ck_assert(!atomic_is_leftover(".a.h5.0123e.tmp", "a.h5"));
    ck_assert(!atomic_is_leftover(".a.h5.0123eg.tmp", "a.h5"));
    ck_assert(!atomic_is_leftover("a.h5.0123ef.tmp", "a.h5"));
    ck_assert(!atomic_is_leftover(".a.h5.0123ef.tmp2", "a.h5"));
    ck_assert(!atomic_is_leftover("", "a.h5"));
}
END_TEST

/* An image with some attributes, written to a file and opened again. */
static struct h5_reader *reopened(const char *path, void (*fill)(hid_t root))
{
    struct h5_image image;
    OK(h5_image_create(&image, path, &err));
    fill(image.file);
    OK(h5_image_finish(&image, path, &err));
    OK(atomic_write(path, NULL, 0, image.bytes, image.size, &err));
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
    OK(h5_read_u64(f, "zero", &u, "f", &err));
    ck_assert_uint_eq(u, 0);
    OK(h5_read_u64(f, "largest", &u, "f", &err));
    ck_assert(u == UINT64_MAX);
    OK(h5_read_u64(f, "plus", &u, "f", &err));
    ck_assert_uint_eq(u, 5);
    OK(h5_read_f64(f, "third", &x, "f", &err));
    ck_assert(x == 1.0 / 3);
    OK(h5_read_string(f, "empty", &s, "f", &err));
    ck_assert_str_eq(s, "");
    free(s);
    OK(h5_read_string(f, "text", &s, "f", &err));
    ck_assert_str_eq(s, "grüße");
    free(s);
    char *text = long_text();
    OK(h5_read_string(f, "long", &s, "f", &err));
    ck_assert(strcmp(s, text) == 0);
    free(s), free(text);

    FAILS(h5_read_u64(f, "none", &u, "f", &err), "f: attribute none is missing");
    FAILS(h5_read_u64(f, "minus", &u, "f", &err), "attribute minus: expected an integer from 0");
    FAILS(h5_read_u64(f, "third", &u, "f", &err), "attribute third: expected one integer");
    FAILS(h5_read_u64(f, "four", &u, "f", &err), "attribute four: expected one integer");
    FAILS(h5_read_f64(f, "zero", &x, "f", &err), "attribute zero: expected one floating-point number");
    FAILS(h5_read_string(f, "zero", &s, "f", &err), "attribute zero: expected one string");
    FAILS(h5_read_string(f, "variable", &s, "f", &err), "of fixed length");
    ck_assert_ptr_null(s);
    h5_close(file);
    ck_assert(nothing_open());
}
END_TEST

START_TEST(files_that_are_none)
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
    FAILS(!h5_open(in_folder("link"), &err), "link: a symbolic link, which is not followed");
    ck_assert(nothing_open());
}
END_TEST

/* An image that is given up leaves nothing, neither in memory (the sanitizers look) nor on the disk. */
START_TEST(images_stay_in_memory)
{
    enter_folder();
    ck_assert_int_eq(chdir(folder), 0);
    struct h5_image image;
    OK(h5_image_create(&image, "image.h5", &err));
    OK(h5_write_u64(image.file, "x", 1, "image.h5", &err));
    ck_assert_uint_eq(count_entries(folder), 0);
    h5_image_free(&image);
    h5_image_free(&image);
    /* with something still open in it */
    OK(h5_image_create(&image, "image.h5", &err));
    const hid_t d = h5_dataset_create(image.file, "d", H5T_STD_U16LE, 100, 0, "image.h5", &err);
    ck_assert(d >= 0);
    h5_image_free(&image);
    ck_assert_uint_eq(count_entries(folder), 0);
    ck_assert(nothing_open());
}
END_TEST

SUITE("data/files", error_lines, atomic_write_replaces, atomic_write_of_large_pieces, atomic_write_remembers_a_refusal,
      atomic_write_spares_the_page_cache, atomic_write_fails_and_leaves_the_old, atomic_write_survives_a_kill,
      leftovers_are_known, attributes, files_that_are_none, images_stay_in_memory)
