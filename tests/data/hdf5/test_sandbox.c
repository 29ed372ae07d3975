/* The process that parses files of others: what it returns, what it cannot do, and how its death is told. And the index that it
 * sends: whatever is in it, the reader stays within its bounds. */
#include "data/hdf5/h5_read.h"
#include "data/hdf5/sandbox.h"
#include "tests/data_fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#ifdef HAVE_SECCOMP
#include <linux/seccomp.h>
#include <seccomp.h>
#endif

enum { CAPACITY = 1 << 20 };

static size_t fill(void *argument, void *result, size_t capacity)
{
    memset(result, *(int *)argument, capacity - 10);
    return capacity - 10;
}

START_TEST(a_result_comes_back)
{
    struct sandbox_result r;
    OK(sandbox_run(&r, fill, &(int){7}, CAPACITY, "reading it", "f", &err));
    ck_assert_uint_eq(r.size, CAPACITY - 10);
    for (size_t i = 0; i < r.size; i++)
        EXPECT(((char *)r.bytes)[i] == 7);
    sandbox_free(&r);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    signal(SIGCHLD, SIG_IGN); /* as some programs leave it to those they start */
    OK(sandbox_run(&r, fill, &(int){7}, CAPACITY, "reading it", "f", &err));
    sandbox_free(&r);
}
END_TEST

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static size_t take_long(void *argument, void *result, size_t capacity)
{
    const double until = seconds_now() + 0.5;
    while (seconds_now() < until)
        ;
    return fill(argument, result, capacity);
}

/* As a terminal's Ctrl-C, which goes to all processes of a group: no child of ours dies of what its parent lives through. */
START_TEST(signals_to_the_group_reach_only_the_parent)
{
    static const int SENT[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    struct sandbox_result r;
    setpgid(0, 0);
    for (size_t i = 0; i < sizeof SENT / sizeof *SENT; i++)
        signal(SENT[i], SIG_IGN);
    const pid_t sender = fork();
    if (sender == 0) {
        usleep(100000);
        for (size_t i = 0; i < sizeof SENT / sizeof *SENT; i++)
            kill(0, SENT[i]);
        _exit(0);
    }
    OK(sandbox_run(&r, take_long, &(int){7}, CAPACITY, "reading it", "f", &err));
    sandbox_free(&r);
    ck_assert_int_eq(waitpid(sender, NULL, 0), sender);
}
END_TEST

static size_t too_much(void *argument, void *result, size_t capacity)
{
    (void)argument, (void)result;
    return capacity + 1;
}

static size_t crash(void *argument, void *result, size_t capacity)
{
    (void)argument, (void)result, (void)capacity;
    __builtin_trap();
}

static size_t leave(void *argument, void *result, size_t capacity)
{
    (void)argument, (void)result, (void)capacity;
    _exit(0);
}

START_TEST(a_death_is_told)
{
    struct sandbox_result r;
    FAILS(sandbox_run(&r, crash, NULL, CAPACITY, "reading it", "f.h5", &err),
          "f.h5: reading it crashed");
    sandbox_free(&r);
    FAILS(sandbox_run(&r, leave, NULL, CAPACITY, "reading it", "f.h5", &err), "f.h5: reading it ");
    sandbox_free(&r);
    FAILS(sandbox_run(&r, too_much, NULL, CAPACITY, "reading it", "f.h5", &err),
          "f.h5: reading it ");
    sandbox_free(&r);
}
END_TEST

/* Each attempt that a taken-over parser could make: its letter where it succeeded. */
static size_t attack(void *argument, void *result, size_t capacity)
{
    (void)capacity;
    char *out = result;
    size_t n = 0;
    out[n++] = '.';
    if (open("/etc/passwd", O_RDONLY) >= 0)
        out[n++] = 'o';
    if (open(argument, O_WRONLY | O_CREAT, 0600) >= 0)
        out[n++] = 'c';
    if (write(2, "", 0) == 0 || read(0, out + 100, 0) == 0)
        out[n++] = 'd'; /* a descriptor of the parent's */
    if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0)
        out[n++] = 's';
    if (mmap(NULL, (size_t)1 << 40, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED)
        out[n++] = 'm';
#ifdef HAVE_SECCOMP
    if (fork() >= 0)
        out[n++] = 'f';
    if (kill(getppid(), 0) == 0)
        out[n++] = 'k';
    if (unlink(argument) == 0 || errno != EPERM)
        out[n++] = 'u';
#endif
    return n;
}

START_TEST(nothing_is_in_reach)
{
    enter_folder();
    struct sandbox_result r;
#ifndef SANDBOX_OPEN /* under valgrind it is open: data/sandbox.c */
    OK(sandbox_run(&r, attack, (void *)in_folder("made"), CAPACITY, "reading it", "f", &err));
    ck_assert_msg(r.size == 1, "%.*s", (int)r.size, (char *)r.bytes);
    sandbox_free(&r);
#else
    (void)r;
#endif
    /* The control: outside, nearly all of it succeeds. */
    char out[200];
    ck_assert_uint_ge(attack((void *)in_folder("made"), out, sizeof out), 6);
}
END_TEST

#if defined HAVE_SECCOMP && !defined SANDBOX_OPEN
/* A kernel that takes no filter: both ways to ask for one fail from here on. */
static void refuse_filters(void)
{
    const scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    OK(seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(seccomp), 0));
    const struct scmp_arg_cmp asks = {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = PR_SET_SECCOMP};
    OK(seccomp_rule_add(f, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1, asks));
    OK(seccomp_load(f));
    seccomp_release(f);
}

/* Then the limits alone hold: it opens, creates, connects and maps nothing still, and can send signals. */
START_TEST(without_a_filter_the_limits_hold)
{
    enter_folder();
    struct sandbox_result r;
    refuse_filters();
    OK(sandbox_run(&r, attack, (void *)in_folder("made"), CAPACITY, "reading it", "f", &err));
    const char *did = r.bytes;
    for (const char *c = "ocdsm"; *c; c++)
        ck_assert_msg(!memchr(did, *c, r.size), "%.*s", (int)r.size, did);
    ck_assert_ptr_nonnull(memchr(did, 'k', r.size));
    sandbox_free(&r);
    OK(sandbox_run(&r, fill, &(int){7}, CAPACITY, "reading it", "f", &err));
    sandbox_free(&r);
}
END_TEST
#else
START_TEST(without_a_filter_the_limits_hold) /* is what nothing_is_in_reach looks at */
{
}
END_TEST
#endif

/* --- the index --- */

static void fill_file(hid_t root)
{
    static const uint32_t NUMBERS[1000] = {1, 2, 3};
    OK(h5_write_u64(root, "count", 3, "f", &err));
    OK(h5_write_string(root, "name", "value", "f", &err));
    OK(h5_write_array(root, "flat", TYPE_U32, 1000, 0, NUMBERS, "f", &err));
    OK(h5_write_array(root, "packed", TYPE_U32, 1000, 300, NUMBERS, "f", &err));
    const hid_t group = H5Gcreate2(root, "group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(root, "/", group, "itself", H5P_DEFAULT, H5P_DEFAULT);
    H5Gclose(group);
}

/* Everything a reader does; sums what it sees, so that a sanitizer looks at each byte. */
static uint64_t use(const struct h5_reader *r, bool *whole)
{
    const struct h5_node root = h5_root(r);
    struct h5_node d;
    uint64_t sum = 0, v = 0;
    uint32_t numbers[1000];
    char *text = NULL;
    *whole =
        h5_read_u64(root, "count", &v, &err) == 0 && h5_read_string(root, "name", &text, &err) == 0;
    sum += v + (text ? strlen(text) : 0);
    free(text);
    for (int i = 0; i < 2; i++)
        if (h5_find_dataset(root, i ? "packed" : "flat", TYPE_U32, 1000, &d, &err) == 0 &&
            h5_read(d, 0, d.entry->dims[0], numbers, &err) == 0)
            for (size_t k = 0; k < d.entry->dims[0]; k++)
                sum += numbers[k];
        else
            *whole = false;
    return sum;
}

START_TEST(no_index_is_trusted)
{
    struct h5_image image;
    bool whole;
    h5_lock();
    OK(h5_image_create(&image, "f", &err));
    fill_file(image.file);
    OK(h5_image_finish(&image, "f", &err));
    FAILS(!h5_open_bytes(image.bytes, image.size, "f", &err),
          "too many groups, or a group that contains itself");

    h5_image_free(&image);
    OK(h5_image_create(&image, "f", &err));
    fill_file(image.file);
    H5Ldelete(image.file, "group", H5P_DEFAULT);
    OK(h5_image_finish(&image, "f", &err));
    size_t passed = 0, rounds = 0;
    unsigned char *index = malloc(1 << 16);
    const size_t size = h5_scan(&(struct h5_scan){image.bytes, image.size}, index, 1 << 16);
    struct h5_reader *r = h5_open_index(image.bytes, image.size, index, size, "f", &err);
    ck_assert_msg(r, "%s", err.text);
    const uint64_t sum = use(r, &whole);
    ck_assert(whole && sum == 3 + 5 + 2 * 6);
    h5_close(r);
    static const uint64_t VALUES[] = {
        0, 1, 255, 1u << 31, UINT32_MAX, UINT64_MAX, UINT64_MAX / 2, UINT64_MAX - 7};
    for (size_t at = 0; at + 8 <= size; at += 4, rounds++) {
        unsigned char *exact = malloc(size); /* so that a sanitizer sees its end */
        memcpy(exact, index, size);
        memcpy(exact + at, &VALUES[random_below(8)], random_below(2) ? 4 : 8);
        r = h5_open_index(image.bytes, image.size, exact,
                          size - (random_below(8) == 0) * random_below(size), "f", &err);
        if (r)
            use(r, &whole);
        passed += r != NULL;
        h5_close(r);
        free(exact);
    }
    ck_assert(passed > 0 && passed < rounds);
    free(index);
    h5_image_free(&image);
    h5_unlock();
}
END_TEST

/* What would make the reader look at the same things again and again, for hours: text without an end, chunks that datasets share. */
START_TEST(an_index_takes_no_time)
{
    struct h5_image image;
    static unsigned char index[1 << 16];
    h5_lock();
    OK(h5_image_create(&image, "f", &err));
    fill_file(image.file);
    H5Ldelete(image.file, "group", H5P_DEFAULT);
    OK(h5_image_finish(&image, "f", &err));
    const size_t size = h5_scan(&(struct h5_scan){image.bytes, image.size}, index, sizeof index);
    h5_unlock();
    struct h5_index *head = (struct h5_index *)(void *)index;
    struct h5_entry *entries = (struct h5_entry *)(head + 1), *flat = NULL, *packed = NULL;
    for (uint64_t i = 0; i < head->n_entries; i++)
        if (entries[i].kind == KIND_DATASET)
            *(entries[i].layout == LAYOUT_CHUNKED ? &packed : &flat) = &entries[i];
    ck_assert(flat && packed);
    const uint64_t name = flat->name;
    const struct h5_entry was = *flat;
    *flat = *packed;
    flat->name = name;
    FAILS(!h5_open_index(image.bytes, image.size, index, size, "f", &err),
          "its contents are inconsistent");
    *flat = was;
    index[size - 1] = 'x';
    FAILS(!h5_open_index(image.bytes, image.size, index, size, "f", &err),
          "its contents are inconsistent");
    index[size - 1] = 0;
    struct h5_reader *r = h5_open_index(image.bytes, image.size, index, size, "f", &err);
    ck_assert_msg(r, "%s", err.text);
    h5_close(r);
    h5_image_free(&image);
}
END_TEST

/* Opening a pipe would wait for somebody who writes. */
START_TEST(a_pipe_is_no_tokenizer)
{
    enter_folder();
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    alarm(5);
    FAILS(!tokenizer_load_any(in_folder("pipe"), NULL, &err), "pipe: not a regular file");
    alarm(0);
}
END_TEST

/* What fuzzing found (tests/fuzz/target.c, FUZZ_index): the size of the index, the index, the file. */
START_TEST(cases_that_were_found)
{
    static const char *const CASES[] = {"index-attribute-that-is-none"};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char path[128];
        size_t size;
        uint64_t n;
        bool whole;
        snprintf(path, sizeof path, "tests/fuzz/cases/%s", CASES[i]);
        unsigned char *bytes = read_file(path, &size), *index = malloc(size);
        memcpy(&n, bytes, 8);
        n = n < size - 8 ? n : size - 8;
        memcpy(index, bytes + 8, n);
        struct h5_reader *r = h5_open_index(bytes + 8 + n, size - 8 - n, index, n, "f", &err);
        if (r) {
            char *text = NULL;
            for (size_t k = 0; k < 3; k++)
                if (h5_read_string(h5_root(r), (const char *[]){"name", "kind", "format"}[k], &text,
                                   &err) == 0)
                    free(text);
            use(r, &whole);
        }
        h5_close(r);
        free(bytes), free(index);
    }
}
END_TEST

SUITE("data/sandbox", a_result_comes_back, signals_to_the_group_reach_only_the_parent,
      a_death_is_told, nothing_is_in_reach, without_a_filter_the_limits_hold, no_index_is_trusted,
      an_index_takes_no_time, a_pipe_is_no_tokenizer, cases_that_were_found)
