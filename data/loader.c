/* loader.c: from a folder of shards to batches of windows.
 *
 * The thread fills a ring of RING micro-batches, in the order in which training asks for them. Two counters say it all: it may
 * fill slot `filled` while filled - released < RING; the caller holds slot `released` until its next call. Whoever asks out of
 * order starts a new generation: what is ready is dropped, and a batch that the thread still has in hand is for nobody.
 */
#include "loader.h"
#include "digest.h"
#include "h5.h"
#include "shard.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RING = 4, CACHE_BYTES = 64 << 20, MIN_CACHE_BYTES = 1 << 20 };

struct position {
    uint64_t step, micro;
};

struct slot {
    struct position position;
    uint32_t *inputs, *targets;
    int status;
    struct error err;
};

struct loader {
    char *dir, *split;
    struct windows windows;
    size_t rows, accumulate;
    struct shard **shards;
    uint64_t *first; /* the token of the split that each shard begins with; first[n_shards] is their sum */
    size_t n_shards;
    uint64_t bytes, vocab_size;
    char fingerprint[DIGEST_HEX], tokenizer_fingerprint[DIGEST_HEX];

    uint32_t *memory;  /* of all slots */
    uint32_t *scratch; /* T + 1 tokens, the thread's */
    struct slot ring[RING];

    pthread_t thread;
    bool running;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    uint64_t filled, released, generation;
    struct position next;     /* that the thread will read */
    struct position expected; /* that the caller will ask for, if it goes on in order */
    bool holds, stop;         /* the caller holds slot `released` */
};

/* --- opening --- */

/* How many shards the folder holds, going by the highest number: where one is missing, opening it says so. */
static int count_shards(struct loader *l, struct error *err)
{
    DIR *d = opendir(l->dir);
    if (!d)
        return fail(err, "%s: %s", l->dir, strerror(errno));
    l->n_shards = 0;
    uint64_t index;
    for (const struct dirent *e; (e = readdir(d));)
        if (shard_parse_name(e->d_name, l->split, &index) && index >= l->n_shards)
            l->n_shards = index + 1;
    closedir(d);
    if (l->n_shards == 0)
        return fail(err, "%s: holds no shard of split %s (%s-00000.h5): has it been tokenized?", l->dir, l->split, l->split);
    return 0;
}

/* What all shards of a split have in common. */
static int check_shard(const struct loader *l, size_t i, const char *path, struct error *err)
{
    const struct shard_info *s = shard_get_info(l->shards[i]), *s0 = shard_get_info(l->shards[0]);
    if (strcmp(s->split, l->split) != 0 || s->index != i)
        return fail(err, "%s: it says it is shard %llu of split %s", path, (unsigned long long)s->index, s->split);
    if (strcmp(s->tokenizer_fingerprint, l->tokenizer_fingerprint) != 0)
        return fail(err, "%s: made with another tokenizer (%s %.12s…) than %s/tokenizer.h5 (%.12s…)", path, s->tokenizer_kind,
                    s->tokenizer_fingerprint, l->dir, l->tokenizer_fingerprint);
    if (s->vocab_size != l->vocab_size)
        return fail(err, "%s: vocab_size is %llu, but the tokenizer's is %llu", path, (unsigned long long)s->vocab_size,
                    (unsigned long long)l->vocab_size);
    if (strcmp(s->corpus, s0->corpus) != 0)
        return fail(err, "%s: from another text, or another run of tokenize, than %s-00000.h5", path, l->split);
    if (s->count != l->n_shards)
        return fail(err, "%s: it says that %s has %llu shards, but %zu are there", path, l->split, (unsigned long long)s->count,
                    l->n_shards);
    return 0;
}

static int open_shards(struct loader *l, struct error *err)
{
    l->shards = calloc(l->n_shards, sizeof *l->shards);
    l->first = calloc(l->n_shards + 1, sizeof *l->first);
    if (!l->shards || !l->first)
        return fail(err, "%s/%s: out of memory", l->dir, l->split);
    struct digest d;
    digest_init(&d);
    const size_t cache = CACHE_BYTES / l->n_shards;
    for (size_t i = 0; i < l->n_shards; i++) {
        char path[PATH_MAX];
        if (shard_path(path, l->dir, l->split, i, err) != 0 ||
            !(l->shards[i] = shard_open(path, cache > MIN_CACHE_BYTES ? cache : MIN_CACHE_BYTES, err)) ||
            check_shard(l, i, path, err) != 0)
            return -1;
        const struct shard_info *s = shard_get_info(l->shards[i]);
        l->first[i + 1] = l->first[i] + s->tokens;
        l->bytes += s->bytes;
        digest_update(&d, s->sha256, strlen(s->sha256));
    }
    digest_finish(&d, l->fingerprint);
    return 0;
}

/* tokenize writes tokenizer.h5 last: without it the shards may be half of a run. */
static int read_tokenizer(struct loader *l, struct error *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/tokenizer.h5", l->dir) >= PATH_MAX)
        return fail(err, "%s: %s", l->dir, strerror(ENAMETOOLONG));
    struct tokenizer *t = tokenizer_load(path, err);
    if (!t)
        return -1;
    strcpy(l->tokenizer_fingerprint, tokenizer_fingerprint(t));
    l->vocab_size = tokenizer_vocab_size(t);
    tokenizer_destroy(t);
    return 0;
}

static int allocate(struct loader *l, struct error *err)
{
    const size_t T = l->windows.block_size;
    size_t n, bytes;
    if (__builtin_mul_overflow(l->rows, T, &n) || __builtin_mul_overflow(n, 2 * RING * sizeof *l->memory, &bytes) ||
        !(l->memory = malloc(bytes)) || !(l->scratch = malloc((T + 1) * sizeof *l->scratch)))
        return fail(err, "out of memory for batches of %zu rows of %zu tokens", l->rows, T);
    for (size_t i = 0; i < RING; i++) {
        l->ring[i].inputs = l->memory + 2 * i * n;
        l->ring[i].targets = l->memory + (2 * i + 1) * n;
    }
    return 0;
}

static int check_sizes(const struct loader *l, struct error *err)
{
    const uint64_t T = l->windows.block_size;
    size_t rows_per_step;
    if (T == 0 || T > UINT32_MAX || l->rows == 0 || l->accumulate == 0 ||
        __builtin_mul_overflow(l->rows, l->accumulate, &rows_per_step))
        return fail(err, "%s/%s: cannot read %zu times %zu rows of %llu tokens", l->dir, l->split, l->accumulate, l->rows,
                    (unsigned long long)T);
    if (l->windows.tokens < T + 1)
        return fail(err, "%s/%s: %llu tokens, block_size %llu needs at least %llu", l->dir, l->split,
                    (unsigned long long)l->windows.tokens, (unsigned long long)T, (unsigned long long)T + 1);
    return 0;
}

static void *read_ahead(void *loader);

/* Signals are for the trainer's thread. */
static int start_thread(struct loader *l, struct error *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    const int e = pthread_create(&l->thread, NULL, read_ahead, l);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (e != 0)
        return fail(err, "%s/%s: cannot start a thread to read ahead: %s", l->dir, l->split, strerror(e));
    l->running = true;
    return 0;
}

struct loader *loader_open(const struct loader_config *c, struct error *err)
{
    struct loader *l = calloc(1, sizeof *l);
    if (!l) {
        fail(err, "%s/%s: out of memory", c->dir, c->split);
        return NULL;
    }
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->changed, NULL);
    l->dir = strdup(c->dir);
    l->split = strdup(c->split);
    l->rows = c->rows;
    l->accumulate = c->accumulate;
    l->next = l->expected = (struct position){c->first_step, c->first_micro};
    if (!l->dir || !l->split) {
        fail(err, "%s/%s: out of memory", c->dir, c->split);
        goto failed;
    }
    if (count_shards(l, err) != 0 || read_tokenizer(l, err) != 0 || open_shards(l, err) != 0)
        goto failed;
    l->windows = (struct windows){c->order, c->seed, l->first[l->n_shards], c->block_size};
    if (check_sizes(l, err) != 0 || allocate(l, err) != 0 || start_thread(l, err) != 0)
        goto failed;
    return l;
failed:
    loader_close(l);
    return NULL;
}

void loader_close(struct loader *l)
{
    if (!l)
        return;
    if (l->running) {
        pthread_mutex_lock(&l->mutex);
        l->stop = true;
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->mutex);
        pthread_join(l->thread, NULL);
    }
    for (size_t i = 0; l->shards && i < l->n_shards; i++)
        shard_close(l->shards[i]);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->mutex);
    free(l->shards);
    free(l->first);
    free(l->memory);
    free(l->scratch);
    free(l->dir);
    free(l->split);
    free(l);
}

/* --- reading --- */

/* n tokens from `first` on, going on at the beginning behind the last. first < N. */
static int read_wrapped(struct loader *l, uint64_t first, size_t n, uint32_t *tokens, struct error *err)
{
    size_t i = 0;
    while (first >= l->first[i + 1])
        i++;
    while (n > 0) {
        const uint64_t left = l->first[i + 1] - first;
        const size_t m = n < left ? n : (size_t)left;
        if (shard_read(l->shards[i], first - l->first[i], m, tokens, err) != 0)
            return -1;
        tokens += m, n -= m;
        i = (i + 1) % l->n_shards;
        first = l->first[i];
    }
    return 0;
}

static int read_batch(struct loader *l, struct position p, struct slot *s)
{
    const size_t T = l->windows.block_size, rows_per_step = l->rows * l->accumulate;
    for (size_t r = 0; r < l->rows; r++) {
        const uint64_t begin = window_begin(&l->windows, p.step, rows_per_step, p.micro * l->rows + r);
        if (read_wrapped(l, begin, T + 1, l->scratch, &s->err) != 0)
            return -1;
        memcpy(s->inputs + r * T, l->scratch, T * sizeof *l->scratch);
        memcpy(s->targets + r * T, l->scratch + 1, T * sizeof *l->scratch);
    }
    return 0;
}

static struct position following(const struct loader *l, struct position p)
{
    return p.micro + 1 < l->accumulate ? (struct position){p.step, p.micro + 1} : (struct position){p.step + 1, 0};
}

static void *read_ahead(void *loader)
{
    struct loader *l = loader;
    pthread_mutex_lock(&l->mutex);
    for (;;) {
        while (!l->stop && l->filled - l->released >= RING)
            pthread_cond_wait(&l->changed, &l->mutex);
        if (l->stop)
            break;
        struct slot *s = &l->ring[l->filled % RING];
        const struct position p = l->next;
        const uint64_t generation = l->generation;
        pthread_mutex_unlock(&l->mutex);

        s->position = p;
        s->status = read_batch(l, p, s);

        pthread_mutex_lock(&l->mutex);
        if (l->generation == generation) {
            l->filled++;
            l->next = following(l, p);
            pthread_cond_broadcast(&l->changed);
        }
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

int loader_batch(struct loader *l, uint64_t step, uint64_t micro, const uint32_t **inputs, const uint32_t **targets,
                 struct error *err)
{
    if (micro >= l->accumulate)
        return fail(err, "%s/%s: micro-batch %llu of a step of %zu", l->dir, l->split, (unsigned long long)micro, l->accumulate);
    const struct position p = {step, micro};
    pthread_mutex_lock(&l->mutex);
    if (l->holds)
        l->released++;
    if (l->expected.step != step || l->expected.micro != micro) {
        l->generation++;
        l->released = l->filled;
        l->next = p;
    }
    l->expected = following(l, p);
    pthread_cond_broadcast(&l->changed);
    while (l->filled == l->released)
        pthread_cond_wait(&l->changed, &l->mutex);
    l->holds = true;
    pthread_mutex_unlock(&l->mutex);

    const struct slot *s = &l->ring[l->released % RING]; /* the thread leaves it alone, and only we change `released` */
    *inputs = s->inputs;
    *targets = s->targets;
    return s->status == 0 ? 0 : fail(err, "%s", s->err.text);
}

int loader_read(struct loader *l, uint64_t first, size_t n, uint32_t *tokens, struct error *err)
{
    if (first > l->windows.tokens || n > l->windows.tokens - first)
        return fail(err, "%s/%s: %zu tokens from %llu on, but it has %llu", l->dir, l->split, n, (unsigned long long)first,
                    (unsigned long long)l->windows.tokens);
    return n == 0 ? 0 : read_wrapped(l, first, n, tokens, err);
}

uint64_t loader_tokens(const struct loader *l)
{
    return l->windows.tokens;
}

uint64_t loader_bytes(const struct loader *l)
{
    return l->bytes;
}

uint64_t loader_vocab_size(const struct loader *l)
{
    return l->vocab_size;
}

const char *loader_fingerprint(const struct loader *l)
{
    return l->fingerprint;
}

const char *loader_tokenizer_fingerprint(const struct loader *l)
{
    return l->tokenizer_fingerprint;
}
