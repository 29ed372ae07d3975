/* test_documents.c: windows that begin at documents, and masks that end at them, against
 * definitions that walk over every token; batches of them in any order, from any beginning, from
 * one shard or many. */
#include "base/digest.h"
#include "data/documents.h"
#include "data/loader.h"
#include "tests/data_fixture.h"

/* Documents of random lengths, most of them shorter than `longest`: marks (tokens), and their
 * beginnings. */
static struct documents draw_documents(uint64_t tokens, uint64_t longest, bool *marks,
                                       uint64_t *begins)
{
    struct documents d = {begins, 0, tokens, random_below(2)};
    memset(marks, 0, tokens);
    for (uint64_t token = 0; token < tokens;
         token += 1 + random_below(random_below(8) ? longest : 4 * longest)) {
        marks[token] = true;
        begins[d.count++] = token;
    }
    return d;
}

/* --- windows --- */

/* Whether a document's context begins at this token. */
static bool begins_context(const struct documents *d, const bool *marks, uint64_t token)
{
    return d->ended ? token == 0 || (token + 1 < d->tokens && marks[token + 1]) : marks[token];
}

/* The next beginning, as documents.h says it: that of the document which the window cuts, or where
 * the window ends. */
static uint64_t next_window(const struct documents *d, const bool *marks, uint64_t begin,
                            uint64_t T)
{
    for (uint64_t token = begin + T; token > begin; token--)
        if (begins_context(d, marks, token))
            return token;
    return begin + T;
}

static void check_windows(const struct documents *d, const bool *marks, uint64_t T)
{
    const size_t n = documents_windows(d, T, NULL);
    uint64_t *begins = malloc(n * sizeof *begins), begin = 0;
    unsigned char *seen = calloc(d->tokens, 1);
    EXPECT(documents_windows(d, T, begins) == n);
    for (size_t w = 0; w < n; w++) {
        EXPECT(begins[w] == begin);
        for (uint64_t i = begin; i < begin + T && i < d->tokens; i++)
            seen[i]++;
        EXPECT((w + 1 == n) == (begin + T >= d->tokens));
        begin = w + 1 < n ? next_window(d, marks, begin, T) : begin;
    }
    for (uint64_t i = 0; i < d->tokens; i++)
        EXPECT(seen[i] == 1 || seen[i] == 2);
    for (size_t k = 0; k < d->count; k++) { /* short ones whole, long ones cut every T tokens */
        const uint64_t from = d->begins[k] - (d->ended && k > 0),
                       to = k + 1 < d->count ? d->begins[k + 1] - d->ended : d->tokens;
        bool whole = false, begun = false;
        for (size_t w = 0; w < n; w++) {
            whole |= begins[w] <= from && to <= begins[w] + T;
            begun |= begins[w] == from;
            EXPECT(begins[w] <= from || begins[w] >= to || (begins[w] - from) % T == 0);
        }
        EXPECT(to - from <= T ? whole : begun);
    }
    free(begins);
    free(seen);
}

START_TEST(windows_begin_at_documents)
{
    enum { MOST = 700 };
    static bool marks[MOST];
    static uint64_t begins[MOST];
    for (size_t round = 0; round < 400; round++) {
        const uint64_t T = 1 + random_below(40);
        const struct documents d =
            draw_documents(T + 1 + random_below(MOST - T), 1 + random_below(60), marks, begins);
        check_windows(&d, marks, T);
    }
    for (uint64_t tokens = 2; tokens < 100; tokens++) { /* one document: every T tokens */
        uint64_t first = 0;
        const struct documents d = {&first, 1, tokens, false};
        EXPECT(documents_windows(&d, 7, begins) == (tokens + 6) / 7);
        for (size_t w = 0; w < (tokens + 6) / 7; w++)
            EXPECT(begins[w] == 7 * w);
    }
}
END_TEST

/* --- masks --- */

START_TEST(masks_end_at_documents)
{
    enum { MOST = 300 };
    static bool marks[MOST];
    static uint64_t begins[MOST];
    for (size_t round = 0; round < 3000; round++) {
        const size_t T = 1 + random_below(50);
        const struct documents d =
            draw_documents(T + 1 + random_below(MOST - T), 1 + random_below(30), marks, begins);
        const uint64_t first = random_below(8) ? random_below(d.tokens) : d.tokens - 1;
        uint32_t starts[50], targets[50], start = 0;
        size_t left = 0;
        for (size_t i = 0; i < T; i++)
            targets[i] = (uint32_t)i;
        documents_mask(&d, first, T, starts, targets);
        for (size_t i = 0; i < T; i++) {
            const bool last = marks[(first + i + 1) % d.tokens];
            if (d.ended ? last : i > 0 && marks[(first + i) % d.tokens])
                start = (uint32_t)i;
            EXPECT(starts[i] == start);
            EXPECT(targets[i] == (last && !d.ended ? NO_TARGET : i));
            left += targets[i] != NO_TARGET;
        }
        EXPECT(documents_counted(&d, first, T) == left);
    }
}
END_TEST

/* --- batches --- */

enum { N = 5000, TRAIN = 4321, ROWS = 3, ACCUMULATE = 2, T = 33 };
static bool marks[N];
static uint64_t begins[N];
static struct documents documents;
static uint32_t *tokens;

/* A corpus whose train split has the documents above. */
static void make_folder(size_t max_tokens)
{
    draw_documents(N, 60, marks, begins);
    enter_folder();
    tokens = make_documents(folder, N, TRAIN, max_tokens, marks);
    documents = (struct documents){begins, 0, TRAIN, false};
    for (uint64_t i = 0; i < TRAIN; i++)
        if (i == 0 || marks[i])
            begins[documents.count++] = i;
}

static struct loader_config config_for(enum order order, enum window_starts windows, bool mask)
{
    return (struct loader_config){.dir = folder,
                                  .split = "train",
                                  .order = order,
                                  .windows = windows,
                                  .mask_documents = mask,
                                  .seed = 11,
                                  .rows = ROWS,
                                  .accumulate = ACCUMULATE,
                                  .block_size = T};
}

static struct loader *open_loader(const struct loader_config *c)
{
    struct loader *l = loader_open(c, &err);
    ck_assert_msg(l, "%s", err.text);
    return l;
}

/* Where row r of a step begins, for windows that begin at documents. */
static struct windows windows_of(const struct loader_config *c)
{
    static uint64_t list[TRAIN];
    const size_t n = documents_windows(&documents, T, list);
    return (struct windows){
        c->order, c->seed, TRAIN, T, c->windows == WINDOWS_DOCUMENTS ? list : NULL, n, 0};
}

static void check_batch(struct loader *l, const struct loader_config *c, uint64_t step,
                        uint64_t micro)
{
    const struct windows w = windows_of(c);
    struct batch b;
    EXPECT_MSG(loader_batch(l, step, micro, &b, &err) == 0, "%s", err.text);
    EXPECT((b.start != NULL) == c->mask_documents);
    for (uint64_t r = 0; r < ROWS; r++) {
        const uint64_t begin = window_begin(&w, step, ROWS * ACCUMULATE, micro * ROWS + r);
        uint32_t starts[T], expected[T];
        for (uint64_t i = 0; i < T; i++)
            expected[i] = tokens[(begin + i + 1) % TRAIN];
        if (c->mask_documents)
            documents_mask(&documents, begin, T, starts, expected);
        EXPECT(!c->mask_documents || !memcmp(starts, b.start + r * T, sizeof starts));
        for (uint64_t i = 0; i < T; i++)
            EXPECT_MSG(b.inputs[r * T + i] == tokens[(begin + i) % TRAIN] &&
                           b.targets[r * T + i] == expected[i],
                       "step %d, micro-batch %d, row %d, token %d", (int)step, (int)micro, (int)r,
                       (int)i);
    }
}

START_TEST(batches_from_anywhere)
{
    static const size_t MAX[] = {100000, 1000, 50};
    for (size_t round = 0; round < 24; round++) {
        if (round % 8 == 0)
            make_folder(MAX[round / 8]);
        struct loader_config c =
            config_for(round & 1 ? ORDER_SHUFFLED : ORDER_SEQUENTIAL,
                       round & 2 ? WINDOWS_DOCUMENTS : WINDOWS_ANYWHERE, round & 4);
        c.first_step = random_below(100);
        c.first_micro = random_below(2);
        struct loader *l = open_loader(&c);
        uint64_t step = c.first_step, micro = c.first_micro;
        for (size_t i = 0; i < 100; i++) { /* mostly on, sometimes elsewhere */
            check_batch(l, &c, step, micro);
            if (random_below(8) == 0)
                step = random_below(1000), micro = random_below(2);
            else
                step += micro, micro = !micro;
        }
        loader_close(l);
        if (round % 8 == 7) {
            free(tokens);
            remove_folder();
            folder[0] = 0;
        }
    }
    ck_assert(nothing_open());
}
END_TEST

/* Every epoch has each window once: all tokens, in the windows of documents.h. */
START_TEST(epochs_have_every_window_once)
{
    make_folder(1000);
    for (enum order order = ORDER_SEQUENTIAL; order <= ORDER_SHUFFLED; order++) {
        const struct loader_config c = config_for(order, WINDOWS_DOCUMENTS, true);
        const struct windows w = windows_of(&c);
        ck_assert_uint_eq(windows_per_epoch(&w), w.count);
        unsigned same = 0;
        for (uint64_t epoch = 0; epoch < 5; epoch++) {
            bool seen[TRAIN] = {false};
            for (uint64_t k = epoch * w.count; k < (epoch + 1) * w.count; k++) {
                const uint64_t begin = window_begin(&w, k / 6, 6, k % 6);
                EXPECT(!seen[begin]);
                seen[begin] = true;
                same += begin == w.begins[k % w.count];
            }
            for (size_t i = 0; i < w.count; i++)
                EXPECT(seen[w.begins[i]]);
        }
        if (order == ORDER_SEQUENTIAL)
            ck_assert_uint_eq(same, 5 * w.count);
        else
            ck_assert_uint_lt(same, 5 * 6); /* one of each epoch is expected */
        EXPECT(window_begin(&w, UINT64_MAX, UINT64_MAX, 5) < TRAIN);
    }
    free(tokens);
}
END_TEST

/* The weights of a step's micro-batches are their shares of its targets. */
START_TEST(weights_are_shares_of_the_targets)
{
    make_folder(1000);
    for (int mask = 0; mask < 2; mask++) {
        bool fewer = false;
        const struct loader_config c = config_for(ORDER_SHUFFLED, WINDOWS_ANYWHERE, mask);
        struct loader *l = open_loader(&c);
        for (uint64_t step = 0; step < 60; step++) {
            double counted[ACCUMULATE] = {0}, weights[ACCUMULATE], all = 0;
            for (uint64_t micro = 0; micro < ACCUMULATE; micro++) {
                struct batch b;
                OK(loader_batch(l, step, micro, &b, &err));
                weights[micro] = b.weight;
                for (size_t i = 0; i < ROWS * T; i++)
                    counted[micro] += b.targets[i] != NO_TARGET;
                all += counted[micro];
            }
            fewer |= all < ROWS * T * ACCUMULATE;
            for (uint64_t micro = 0; micro < ACCUMULATE; micro++)
                EXPECT(weights[micro] == counted[micro] / all);
        }
        EXPECT(fewer == mask);
        loader_close(l);
    }
    free(tokens);
}
END_TEST

START_TEST(text_without_documents)
{
    enter_folder();
    free(make_corpus(folder, N, TRAIN, 1000));
    const struct loader_config windows = config_for(ORDER_SHUFFLED, WINDOWS_DOCUMENTS, false),
                               mask = config_for(ORDER_SHUFFLED, WINDOWS_ANYWHERE, true);
    ck_assert_ptr_null(loader_open(&windows, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "train: its text was not divided into documents"));
    ck_assert_ptr_null(loader_open(&mask, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "train: its text was not divided into documents"));
    ck_assert(nothing_open());
}
END_TEST

/* The same tokens with other documents are other data. */
START_TEST(fingerprints_know_documents)
{
    char first[DIGEST_HEX];
    enter_folder();
    for (int round = 0; round < 3; round++) {
        random_state = 7;
        memset(marks, 0, sizeof marks);
        marks[0] = true;
        marks[round < 2 ? 1000 : 1001] = true;
        free(make_documents(folder, N, TRAIN, 100000, marks));
        struct split *s = split_open(folder, "train", &err);
        ck_assert_msg(s, "%s", err.text);
        if (round == 0)
            strcpy(first, s->fingerprint);
        ck_assert_int_eq(strcmp(first, s->fingerprint) == 0, round < 2);
        const struct documents *d = split_documents(s, &err);
        ck_assert_uint_eq(d->count, 2);
        ck_assert_uint_eq(d->begins[1], round < 2 ? 1000 : 1001);
        split_close(s);
    }
}
END_TEST

SUITE("data/documents", windows_begin_at_documents, masks_end_at_documents, batches_from_anywhere,
      epochs_have_every_window_once, weights_are_shares_of_the_targets, text_without_documents,
      fingerprints_know_documents)
