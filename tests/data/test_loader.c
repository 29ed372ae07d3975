/* test_loader.c: batches are what window.h and the plain array of tokens say, wherever one begins
 * and in whatever order one asks. */
#include "data/hdf5/h5.h"
#include "data/loader.h"
#include "data/window.h"
#include "tests/data_fixture.h"
#include <signal.h>

enum { N = 5000, TRAIN = 4321 };

static struct loader_config config_for(enum order order, size_t rows, size_t accumulate,
                                       size_t block_size)
{
    return (struct loader_config){.dir = folder,
                                  .split = "train",
                                  .order = order,
                                  .seed = 11,
                                  .rows = rows,
                                  .accumulate = accumulate,
                                  .block_size = block_size};
}

static struct loader *open_loader(const struct loader_config *c)
{
    struct loader *l = loader_open(c, &err);
    ck_assert_msg(l, "%s", err.text);
    return l;
}

/* One micro-batch against the definition. */
static void check_batch(struct loader *l, const struct loader_config *c, const uint32_t *tokens,
                        uint64_t step, uint64_t micro)
{
    struct batch b;
    EXPECT_MSG(loader_batch(l, step, micro, &b, &err) == 0, "%s", err.text);
    const struct windows w = {c->order, c->seed, TRAIN, c->block_size, NULL, 0, 0};
    const uint64_t B = c->rows * c->accumulate, T = c->block_size;
    for (uint64_t r = 0; r < c->rows; r++) {
        const uint64_t row = micro * c->rows + r;
        const uint64_t begin = c->order == ORDER_SEQUENTIAL
                                   ? (step * B + row) * T
                                   : window_begin(&w, step, B, row); /* steps are small here */
        for (uint64_t i = 0; i < T; i++)
            EXPECT_MSG(b.inputs[r * T + i] == tokens[(begin + i) % TRAIN] &&
                           b.targets[r * T + i] == tokens[(begin + i + 1) % TRAIN],
                       "step %d, micro-batch %d, row %d, token %d", (int)step, (int)micro, (int)r,
                       (int)i);
    }
}

START_TEST(batches_are_as_defined)
{
    static const size_t MAX[] = {100000, 1000, 7, TRAIN};
    static const size_t SHAPES[][3] = {
        {1, 1, 1}, {3, 2, 16}, {6, 1, 64}, {5, 3, 100}, {1, 1, TRAIN - 1}};
    enter_folder();
    for (size_t m = 0; m < sizeof MAX / sizeof *MAX; m++) {
        uint32_t *tokens = make_corpus(folder, m == 2 ? 700 : N, m == 2 ? 100 : TRAIN, MAX[m]);
        for (size_t i = 0; m != 2 && i < sizeof SHAPES / sizeof *SHAPES; i++)
            for (enum order order = ORDER_SEQUENTIAL; order <= ORDER_SHUFFLED; order++) {
                const struct loader_config c =
                    config_for(order, SHAPES[i][0], SHAPES[i][1], SHAPES[i][2]);
                struct loader *l = open_loader(&c);
                /* several epochs */
                for (uint64_t step = 0;
                     step < 5 + 3 * TRAIN / (c.rows * c.accumulate * c.block_size) && step < 600;
                     step++)
                    for (uint64_t micro = 0; micro < c.accumulate; micro++)
                        check_batch(l, &c, tokens, step, micro);
                loader_close(l);
            }
        free(tokens);
        char command[128];
        snprintf(command, sizeof command, "rm -f %s/*", folder);
        ck_assert_int_eq(system(command), 0);
    }
    ck_assert(nothing_open());
}
END_TEST

START_TEST(any_order_and_any_beginning)
{
    enter_folder();
    uint32_t *tokens = make_corpus(folder, N, TRAIN, 1500);
    for (size_t round = 0; round < 40; round++) {
        struct loader_config c =
            config_for(round % 2 ? ORDER_SHUFFLED : ORDER_SEQUENTIAL, 3, 2, 33);
        c.first_step = random_below(100);
        c.first_micro = random_below(2);
        struct loader *l = open_loader(&c);
        uint64_t step = random_below(3) ? c.first_step : random_below(100), micro = c.first_micro;
        for (size_t i = 0; i < 60; i++) {
            check_batch(l, &c, tokens, step, micro);
            switch (random_below(8)) { /* mostly on, sometimes elsewhere, back, or the same again */
            case 0:
                step = random_below(100), micro = random_below(2);
                break;
            case 1:
                break;
            default:
                step += micro, micro = !micro;
            }
        }
        loader_close(l);
    }
    struct loader_config c = config_for(ORDER_SHUFFLED, 3, 2, 33);
    c.first_step = UINT64_MAX;
    struct loader *l = open_loader(&c);
    struct batch b;
    OK(loader_batch(l, UINT64_MAX, 1, &b, &err));
    OK(loader_batch(l, 0, 0, &b, &err));
    FAILS(loader_batch(l, 0, 2, &b, &err), "micro-batch 2 of a step of 2");
    check_batch(l, &c, tokens, 0, 1);
    loader_close(l);
    free(tokens);
    ck_assert(nothing_open());
}
END_TEST

/* 3 rows twice are the same as 6 rows once. */
START_TEST(accumulation_gives_the_same_rows)
{
    enter_folder();
    free(make_corpus(folder, N, TRAIN, 1500));
    for (enum order order = ORDER_SEQUENTIAL; order <= ORDER_SHUFFLED; order++) {
        const struct loader_config two = config_for(order, 3, 2, 40),
                                   one = config_for(order, 6, 1, 40);
        struct loader *a = open_loader(&two), *b = open_loader(&one);
        for (uint64_t step = 0; step < 50; step++) {
            struct batch whole, part;
            OK(loader_batch(b, step, 0, &whole, &err));
            for (uint64_t micro = 0; micro < 2; micro++) {
                OK(loader_batch(a, step, micro, &part, &err));
                ck_assert(memcmp(part.inputs, whole.inputs + micro * 120, 120 * sizeof(uint32_t)) ==
                          0);
                ck_assert(
                    memcmp(part.targets, whole.targets + micro * 120, 120 * sizeof(uint32_t)) == 0);
            }
        }
        loader_close(a);
        loader_close(b);
    }
    ck_assert(nothing_open());
}
END_TEST

/* What the caller holds stays as it is while the thread reads on. */
START_TEST(batches_stay_valid)
{
    enter_folder();
    uint32_t *tokens = make_corpus(folder, N, TRAIN, 1500);
    const struct loader_config c = config_for(ORDER_SEQUENTIAL, 4, 1, 50);
    struct loader *l = open_loader(&c);
    for (uint64_t step = 0; step < 20; step++) {
        struct batch b;
        OK(loader_batch(l, step, 0, &b, &err));
        usleep(2000); /* time enough to fill the ring */
        for (uint64_t i = 0; i < 200; i++)
            EXPECT(b.inputs[i] == tokens[(step * 200 + i) % TRAIN]);
    }
    loader_close(l);
    free(tokens);
    ck_assert(nothing_open());
}
END_TEST

static size_t count_threads(void)
{
    DIR *d = opendir("/proc/self/task");
    size_t n = 0;
    for (const struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

START_TEST(threads_end)
{
    enter_folder();
    uint32_t *tokens = make_corpus(folder, N, TRAIN, 1500);
    const struct loader_config first = config_for(ORDER_SHUFFLED, 1, 1, 50);
    loader_close(open_loader(&first)); /* the first thread makes sanitizers start theirs */
    const size_t before = count_threads();
    for (size_t round = 0; round < 60; round++) {
        const struct loader_config c = config_for(ORDER_SHUFFLED, 1 + random_below(40), 1, 50);
        struct loader *l = open_loader(&c);
        if (round % 3)
            check_batch(l, &c, tokens, random_below(3), 0);
        if (round % 5 == 0)
            usleep((useconds_t)random_below(3000));
        loader_close(l);
        loader_close(NULL);
    }
    /* A joined thread may still be seen for a moment. */
    for (size_t i = 0; i < 100 && count_threads() > before; i++)
        usleep(10000);
    ck_assert_uint_eq(count_threads(), before);
    free(tokens);
    ck_assert(nothing_open());
}
END_TEST

/* Two loaders and a reader of the same split at once, as training and evaluation are. */
START_TEST(readers_side_by_side)
{
    enter_folder();
    uint32_t *tokens = make_corpus(folder, N, TRAIN, 1000), back[500];
    const struct loader_config a = config_for(ORDER_SHUFFLED, 3, 1, 50),
                               b = config_for(ORDER_SEQUENTIAL, 2, 2, 70);
    struct loader *la = open_loader(&a), *lb = open_loader(&b);
    struct split *s = split_open(folder, "train", &err), *val = split_open(folder, "val", &err);
    ck_assert_uint_eq(s->tokens, TRAIN);
    ck_assert_uint_eq(s->bytes, TRAIN);
    ck_assert_uint_eq(val->tokens, N - TRAIN);
    for (uint64_t step = 0; step < 100; step++) {
        check_batch(la, &a, tokens, step, 0);
        check_batch(lb, &b, tokens, step, 0);
        check_batch(lb, &b, tokens, step, 1);
        const size_t first = random_below(TRAIN),
                     n = random_below(TRAIN - first < 500 ? TRAIN - first + 1 : 501);
        OK(split_read(s, first, n, back, &err));
        EXPECT(memcmp(back, tokens + first, n * sizeof *back) == 0);
        OK(split_read_wrapped(s, first, 500, back, &err));
        for (size_t i = 0; i < 500; i++)
            EXPECT(back[i] == tokens[(first + i) % TRAIN]);
    }
    OK(split_read(val, 0, 500, back, &err));
    ck_assert(memcmp(back, tokens + TRAIN, sizeof back) == 0);
    FAILS(split_read(s, TRAIN - 3, 4, back, &err), "4 tokens from 4318 on, but it has 4321");
    FAILS(split_read(s, UINT64_MAX, 4, back, &err), "but it has 4321");
    split_close(s), split_close(val);
    loader_close(la), loader_close(lb);
    free(tokens);
    ck_assert(nothing_open());
}
END_TEST

/* Signals are for the thread that trains. */
static volatile sig_atomic_t wrong_thread;
static pid_t main_thread;
static void on_signal(int number)
{
    (void)number;
    wrong_thread += gettid() != main_thread;
}

START_TEST(signals_stay_with_the_caller)
{
    enter_folder();
    free(make_corpus(folder, N, TRAIN, 1000));
    main_thread = gettid();
    signal(SIGUSR1, on_signal);
    const struct loader_config c = config_for(ORDER_SHUFFLED, 3, 1, 50);
    struct loader *l = open_loader(&c);
    for (int i = 0; i < 200; i++)
        kill(getpid(), SIGUSR1);
    ck_assert_int_eq(wrong_thread, 0);
    loader_close(l);
    ck_assert(nothing_open());
}
END_TEST

/* --- what is refused --- */

/* Where its packed tokens lie in a shard: opening it does not touch them. */
static size_t first_chunk(const char *path)
{
    haddr_t address = 0;
    hsize_t offset = 0, size = 0;
    unsigned mask;
    h5_lock();
    const hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT),
                d = H5Dopen2(f, "tokens", H5P_DEFAULT), space = H5Dget_space(d);
    ck_assert(H5Dget_chunk_info(d, space, 0, &offset, &mask, &address, &size) >= 0 && size > 200);
    H5Sclose(space), H5Dclose(d), H5Fclose(f);
    h5_unlock();
    return (size_t)address;
}

START_TEST(errors_reach_the_caller)
{
    enter_folder();
    uint32_t *tokens = make_corpus(folder, N, TRAIN, 1000); /* train-00000 … train-00004 */
    flip_bits(in_folder("train-00002.h5"), first_chunk(in_folder("train-00002.h5")) + 100, 0x10);
    const struct loader_config c = config_for(ORDER_SEQUENTIAL, 1, 1, 100);
    struct loader *l = open_loader(&c);
    struct batch b;
    for (int round = 0; round < 3; round++) {
        for (uint64_t step = 0; step < 19; step++)
            check_batch(l, &c, tokens, step, 0);
        for (uint64_t step = 19; step < 30; step++)
            FAILS(loader_batch(l, step, 0, &b, &err), "train-00002.h5: /tokens: ");
        FAILS(loader_batch(l, 29, 0, &b, &err), "train-00002.h5: /tokens: "); /* again */
        check_batch(l, &c, tokens, 30, 0);
    }
    loader_close(l);
    free(tokens);
    ck_assert(nothing_open());
}
END_TEST

#define REFUSED(config, part) FAILS(!loader_open(&(config), &err), part)

START_TEST(what_does_not_fit)
{
    enter_folder();
    struct loader_config c = config_for(ORDER_SEQUENTIAL, 1, 1, 64);
    REFUSED(c, "contains no shard of split train (train-00000.h5)");
    ck_assert(!split_exists(folder, "train"));
    c.dir = "/nowhere";
    REFUSED(c, "/nowhere: No such file or directory");
    ck_assert(!split_exists("/nowhere", "train"));
    c.dir = folder;
    free(make_corpus(folder, 140, 40, 100));
    ck_assert(split_exists(folder, "train") && split_exists(folder, "val") &&
              !split_exists(folder, "test"));
    char expected[128];
    snprintf(expected, sizeof expected, "%s/train: 40 tokens, block_size 64 needs at least 65",
             folder);
    REFUSED(c, expected);
    c.block_size = 40;
    REFUSED(c, "40 tokens, block_size 40 needs at least 41");
    c.block_size = 39;
    loader_close(open_loader(&c));
    c.block_size = 0;
    REFUSED(c, "cannot read");
    c.block_size = SIZE_MAX;
    REFUSED(c, "cannot read");
    c.block_size = 8;
    c.rows = 0;
    REFUSED(c, "cannot read");
    c.rows = SIZE_MAX / 2;
    REFUSED(c, "out of memory");
    c.accumulate = 3;
    REFUSED(c, "cannot read");
    ck_assert(nothing_open());
}
END_TEST

SUITE("data/loader", batches_are_as_defined, any_order_and_any_beginning,
      accumulation_gives_the_same_rows, batches_stay_valid, threads_end, readers_side_by_side,
      signals_stay_with_the_caller, errors_reach_the_caller, what_does_not_fit)
