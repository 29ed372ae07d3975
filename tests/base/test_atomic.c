/* test_atomic.c: files that are written whole or not at all. */
#include "base/atomic.h"
#include "tests/data_fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* In the place of libc's: a file system that says that it takes direct writes, and takes none,
 * where a test asks for one. */
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
    OK(atomic_write_pieces(path, (struct piece[]){{"head", 4}, {" body", 5}}, 2, &err));
    check_contents(path, "head body");
    OK(atomic_write(path, "second", 6, &err));
    check_contents(path, "second");
    OK(atomic_write(path, NULL, 0, &err));
    check_contents(path, "");
    ck_assert_uint_eq(count_files(), 1);
    /* a name without a folder; and many pieces */
    ck_assert_int_eq(chdir(folder), 0);
    OK(atomic_write("plain", "x", 1, &err));
    const size_t n = 70 << 20;
    char *big = calloc(n, 1);
    big[n - 1] = 'z';
    OK(atomic_write_pieces("big", (struct piece[]){{"h", 1}, {big, n}}, 2, &err));
    struct stat s;
    ck_assert_int_eq(stat("big", &s), 0);
    ck_assert_uint_eq((size_t)s.st_size, n + 1);
    free(big);
    ck_assert_uint_eq(count_files(), 3);
    ck_assert(nothing_open());
}
END_TEST

/* Large pieces on pages go past the page cache, others do not; either way each byte is where it
 * belongs. */
static void write_mixed(const char *path)
{
    enum { PAGE = 4096, N = 5 << 20 };
    unsigned char *bytes = aligned_alloc(PAGE, N);
    for (size_t i = 0; i < N; i++)
        bytes[i] = (unsigned char)(i * 2654435761u >> 13);
    const struct piece whole = {bytes, N}, odd = {bytes, N - 1}, small = {bytes, 3},
                       page = {bytes, PAGE}, off = {bytes + 1, N - 1};
    const struct piece lists[][4] = {{whole},        {odd},
                                     {small, whole}, {odd, whole},
                                     {whole, small}, {page, whole, odd, small},
                                     {off, whole},   {whole, off, page}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        size_t size, at = 0;
        OK(atomic_write_pieces(path, lists[i], 4, &err));
        unsigned char *got = read_file(path, &size);
        for (size_t k = 0; k < 4; at += lists[i][k++].size)
            ck_assert(
                at + lists[i][k].size <= size &&
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
    const struct piece piece = {bytes, 1 << 20},
                       pieces[] = {piece, {(char *)bytes + (1 << 20), 2 << 20}, piece};
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
    OK(atomic_write(in_folder("file"), bytes, n, &err));
    if (direct)
        ck_assert_uint_le(cached_pages(in_folder("file"), n / 4096), 512);

    /* The disk is full in the middle of it. */
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {.rlim_cur = 5000000, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const int midway = atomic_write(in_folder("file"), bytes, n, &err);
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    ck_assert_int_eq(midway, -1);
    ck_assert_msg(strstr(err.text, "writing: File too large"), "%s", err.text);
    ck_assert_uint_eq(count_files(), 2);
    free(bytes);
}
END_TEST

START_TEST(atomic_write_fails_and_leaves_the_old)
{
    enter_folder();
    const char *path = in_folder("file");
    OK(atomic_write(path, "old", 3, &err));

    /* The disk is full, as a limit on the size of files lets it seem; at once, and in the middle of
     * the second part. */
    signal(SIGXFSZ, SIG_IGN);
    char *big = calloc(1 << 20, 1);
    struct rlimit limit = {.rlim_cur = 0, .rlim_max = RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const int at_once = atomic_write(path, "new", 3, &err);
    limit.rlim_cur = 5000;
    setrlimit(RLIMIT_FSIZE, &limit);
    const struct piece pieces[] = {{"head", 4}, {big, 1 << 20}};
    const int midway = atomic_write_pieces(path, pieces, 2, &err);
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    free(big);
    ck_assert_int_eq(at_once, -1);
    ck_assert_int_eq(midway, -1);
    ck_assert_msg(strstr(err.text, path) && strstr(err.text, "File too large"), "%s", err.text);
    check_contents(path, "old");
    ck_assert_uint_eq(count_files(), 1);

    /* The name is a folder's. */
    ck_assert_int_eq(mkdir(in_folder("sub"), 0777), 0);
    FAILS(atomic_write(in_folder("sub"), "x", 1, &err), "Is a directory");
    ck_assert_uint_eq(count_files(), 2);
    FAILS(atomic_write(in_folder("none/x"), "x", 1, &err),
          "none/x: cannot create a file in this directory: No such");
    FAILS(atomic_write("", "x", 1, &err), "No such file");
    FAILS(atomic_write(in_folder(""), "x", 1, &err), "/: expected a file name, got a directory");

    if (geteuid() != 0) { /* nothing is unwritable to root */
        chmod(folder, 0555);
        FAILS(atomic_write(path, "new", 3, &err), "Permission denied");
        chmod(folder, 0755);
    }
    FAILS(atomic_write("/proc/handgrad", "x", 1, &err), "/proc/handgrad: cannot create");
    check_contents(path, "old");
    ck_assert(nothing_open());
}
END_TEST

/* Killed at any moment: the name has the old contents or the new, and what else lies there is known
 * as a leftover. */
START_TEST(atomic_write_survives_a_kill)
{
    enter_folder();
    const char *path = in_folder("file");
    const size_t n = 4 << 20;
    char *a = malloc(n), *b = malloc(n);
    memset(a, 'a', n), memset(b, 'b', n);
    OK(atomic_write(path, a, n, &err));
    for (int round = 0; round < 20; round++) {
        const pid_t child = fork();
        if (child == 0)
            for (;;) {
                atomic_write(path, b, n, NULL);
                atomic_write(path, a, n, NULL);
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
        ck_assert_msg(strcmp(e->d_name, "file") == 0 || strcmp(e->d_name, ".") == 0 ||
                          strcmp(e->d_name, "..") == 0 || atomic_is_leftover(e->d_name, "file"),
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

SUITE("data/atomic", atomic_write_replaces, atomic_write_of_large_pieces,
      atomic_write_remembers_a_refusal, atomic_write_spares_the_page_cache,
      atomic_write_fails_and_leaves_the_old, atomic_write_survives_a_kill, leftovers_are_known)
