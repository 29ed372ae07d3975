/* shards.c: measures how fast a loader reads a large shard, window by window.
 *
 *     shards DIR TOKENS    writes DIR/train-00000.h5 with this many random tokens, and a tokenizer
 *     shards DIR ROWS T    reads batches of ROWS windows of T tokens, in either order, and prints
 *                          tokens per second
 *
 * Tokens are bytes of unequal frequency, which compress about as well as those of a text. */
#include "base/clock.h"
#include "data/corpus/corpus.h"
#include "data/loader.h"
#include "data/shard.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECONDS = 5, WARM = 1 };

static int print_error(const struct error *err)
{
    fprintf(stderr, "shards: %s\n", err->text);
    return 1;
}

static uint64_t draw(uint64_t *state)
{
    *state = *state * 6364136223846793005 + 1442695040888963407;
    return *state >> 33;
}

/* About 5 bits of information per token. */
static int draw_tokens(void *state, uint64_t first, size_t n, uint32_t *ids, struct error *err)
{
    (void)first, (void)err;
    for (size_t i = 0; i < n; i++)
        ids[i] = (uint32_t)((draw(state) & 31) * (draw(state) & 7));
    return 0;
}

static int write(const char *dir, uint64_t tokens)
{
    struct error err;
    uint64_t state = 1;
    struct tokenizer *t = tokenizer_create_byte(&err);
    const struct corpus_plan plan = {dir,   t, tokens, 0,           SHARD_MAX_TOKENS,
                                     false, 0, "[]",   draw_tokens, &state};
    struct corpus_dir d;
    if (!t || corpus_dir_open(&d, dir, &err))
        return print_error(&err);
    const int status = corpus_write(&plan, &err);
    corpus_dir_close(&d, false);
    tokenizer_destroy(t);
    return status ? print_error(&err) : 0;
}

/* Reads batches for this many seconds. Returns tokens per second, or -1 on error. */
static double run(struct loader *l, uint64_t *step, size_t tokens, double for_seconds,
                  struct error *err)
{
    const double begin = seconds();
    uint64_t n = 0;
    for (double now = begin; now - begin < for_seconds; now = seconds(), n++) {
        struct batch batch;
        if (loader_batch(l, (*step)++, 0, &batch, err))
            return -1;
    }
    return (double)n * (double)tokens / (seconds() - begin);
}

static int measure(const char *dir, enum order order, size_t rows, size_t T)
{
    struct error err;
    const struct loader_config c = {.dir = dir,
                                    .split = "train",
                                    .order = order,
                                    .seed = 1,
                                    .rows = rows,
                                    .accumulate = 1,
                                    .block_size = T};
    const double begin = seconds();
    struct loader *l = loader_open(&c, &err);
    const double opened = seconds() - begin;
    uint64_t step = 0;
    if (!l || run(l, &step, rows * T, WARM, &err) < 0)
        return print_error(&err);
    const double speed = run(l, &step, rows * T, SECONDS, &err);
    loader_close(l);
    if (speed < 0)
        return print_error(&err);
    printf("%s %zu %zu %.0f %.3f\n", order == ORDER_SEQUENTIAL ? "sequential" : "shuffled", rows, T,
           speed, opened);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return write(argv[1], strtoull(argv[2], NULL, 10));
    if (argc != 4)
        return fprintf(stderr, "usage: shards DIR TOKENS | shards DIR ROWS T\n"), 2;
    const size_t rows = strtoull(argv[2], NULL, 10), T = strtoull(argv[3], NULL, 10);
    return measure(argv[1], ORDER_SEQUENTIAL, rows, T) || measure(argv[1], ORDER_SHUFFLED, rows, T);
}
