/* loader.c: see loader.h.
 *
 * The thread fills a ring of micro-batches in the order in which training requests them. Two
 * counters synchronise both sides: the thread may fill slot `filled` while filled - released <
 * RING, and the caller holds slot `released` until its next call. A request out of order starts a
 * new generation: finished batches are discarded, as is the one that the thread is
 * reading. */
#include "data/loader.h"
#include "base/thread.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { RING = 4 };

struct position {
    uint64_t step, micro;
};

struct slot {
    uint32_t *inputs, *targets, *start; /* start NULL if documents are not masked */
    double weight;
    int status;
    struct error err;
};

struct loader {
    struct loader_config config;
    struct split *split;
    struct windows windows;
    const struct documents *documents; /* of the split, if windows or masks need them */
    uint64_t *begins;                  /* of windows that begin at documents */

    uint32_t *memory; /* of all slots */
    uint32_t *window; /* T + 1 tokens, the thread's */
    struct slot ring[RING];

    pthread_t thread;
    bool running;
    pthread_mutex_t mutex; /* guards all that follows */
    pthread_cond_t changed;
    uint64_t filled, released, generation;
    struct position next;     /* to be read by the thread */
    struct position expected; /* the next request, if it is in order */
    bool holds, stop;         /* the caller holds slot `released` */
};

/* --- opening --- */

size_t loader_bytes(size_t tokens, size_t block_size, bool mask_documents)
{
    return ((mask_documents ? 3 : 2) * RING * tokens + block_size + 1) * sizeof(uint32_t);
}

static int allocate(struct loader *l, struct error *err)
{
    const size_t T = l->config.block_size, arrays = l->config.mask_documents ? 3 : 2;
    size_t n, bytes;
    if (__builtin_mul_overflow(l->config.rows, T, &n) ||
        __builtin_mul_overflow(n, arrays * RING * sizeof *l->memory, &bytes) ||
        !(l->memory = malloc(bytes)) || !(l->window = malloc((T + 1) * sizeof *l->window)))
        return fail(err, "out of memory for batches of %zu rows of %zu tokens", l->config.rows, T);
    for (size_t i = 0; i < RING; i++) {
        l->ring[i].inputs = l->memory + arrays * i * n;
        l->ring[i].targets = l->ring[i].inputs + n;
        l->ring[i].start = arrays == 3 ? l->ring[i].targets + n : NULL;
    }
    return 0;
}

static int check_sizes(const struct loader *l, struct error *err)
{
    const struct loader_config *c = &l->config;
    size_t rows_per_step;
    if (c->block_size == 0 || c->block_size > UINT32_MAX || c->rows == 0 || c->accumulate == 0 ||
        __builtin_mul_overflow(c->rows, c->accumulate, &rows_per_step))
        return fail(err, "%s/%s: cannot read %zu times %zu rows of %zu tokens", c->dir, c->split,
                    c->accumulate, c->rows, c->block_size);
    if (l->split->tokens < c->block_size + 1)
        return fail(err, "%s/%s: %" PRIu64 " tokens, block_size %zu needs at least %zu", c->dir,
                    c->split, l->split->tokens, c->block_size, c->block_size + 1);
    return 0;
}

/* Reads the documents and lists the windows, if the configuration needs them. */
static int find_documents(struct loader *l, struct error *err)
{
    const struct loader_config *c = &l->config;
    struct windows *w = &l->windows;
    if (c->windows == WINDOWS_ANYWHERE && !c->mask_documents)
        return 0;
    if (!(l->documents = split_documents(l->split, err)))
        return -1;
    if (c->windows == WINDOWS_ANYWHERE)
        return 0;
    w->count = documents_windows(l->documents, c->block_size, NULL);
    if (!(l->begins = malloc(w->count * sizeof *l->begins)))
        return fail(err, "%s/%s: out of memory for %" PRIu64 " windows", c->dir, c->split,
                    w->count);
    documents_windows(l->documents, c->block_size, l->begins);
    w->begins = l->begins;
    return 0;
}

static void *read_ahead(void *loader);

static int start_thread(struct loader *l, struct error *err)
{
    const int e = thread_start(&l->thread, read_ahead, l);
    l->running = e == 0;
    return e == 0 ? 0
                  : fail(err, "%s/%s: cannot start a thread to read ahead: %s", l->config.dir,
                         l->config.split, strerror(e));
}

struct loader *loader_open(const struct loader_config *c, struct error *err)
{
    struct loader *l = calloc(1, sizeof *l);
    if (!l)
        return fail_null(err, "%s/%s: out of memory", c->dir, c->split);
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->changed, NULL);
    l->config = *c;
    l->next = l->expected = (struct position){c->first_step, c->first_micro};
    if ((l->split = split_open(c->dir, c->split, err))) {
        l->config.dir = l->split->dir;
        l->config.split = l->split->name;
        l->windows = (struct windows){.order = c->order,
                                      .seed = c->seed,
                                      .tokens = l->split->tokens,
                                      .block_size = c->block_size,
                                      .row_shift = c->row_shift};
        if (check_sizes(l, err) == 0 && find_documents(l, err) == 0 && allocate(l, err) == 0 &&
            start_thread(l, err) == 0)
            return l;
    }
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
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->mutex);
    split_close(l->split);
    free(l->begins);
    free(l->memory);
    free(l->window);
    free(l);
}

const struct split *loader_split(const struct loader *l)
{
    return l->split;
}

/* --- reading --- */

/* Where row `row` of a step begins. */
static uint64_t row_begin(const struct loader *l, uint64_t step, uint64_t row)
{
    return window_begin(&l->windows, step, l->config.rows * l->config.accumulate, row);
}

/* Counts the targets that count in rows [first, end) of a step. */
static uint64_t count_targets(const struct loader *l, uint64_t step, uint64_t first, uint64_t end)
{
    uint64_t n = 0;
    for (uint64_t row = first; row < end; row++)
        n += documents_counted(l->documents, row_begin(l, step, row), l->config.block_size);
    return n;
}

static double weight(const struct loader *l, struct position p)
{
    const struct loader_config *c = &l->config;
    if (!c->mask_documents)
        return 1 / (double)c->accumulate;
    const uint64_t all = count_targets(l, p.step, 0, c->rows * c->accumulate),
                   here = count_targets(l, p.step, p.micro * c->rows, (p.micro + 1) * c->rows);
    return all ? (double)here / (double)all : 0;
}

static int read_batch(struct loader *l, struct position p, struct slot *s)
{
    const size_t T = l->config.block_size, rows = l->config.rows;
    s->weight = weight(l, p);
    for (size_t r = 0; r < rows; r++) {
        const uint64_t begin = row_begin(l, p.step, p.micro * rows + r);
        if (split_read_wrapped(l->split, begin, T + 1, l->window, &s->err))
            return -1;
        memcpy(s->inputs + r * T, l->window, T * sizeof *l->window);
        memcpy(s->targets + r * T, l->window + 1, T * sizeof *l->window);
        if (s->start)
            documents_mask(l->documents, begin, T, s->start + r * T, s->targets + r * T);
    }
    return 0;
}

static struct position following(const struct loader *l, struct position p)
{
    return p.micro + 1 < l->config.accumulate ? (struct position){p.step, p.micro + 1}
                                              : (struct position){p.step + 1, 0};
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

int loader_batch(struct loader *l, uint64_t step, uint64_t micro, struct batch *batch,
                 struct error *err)
{
    const struct loader_config *c = &l->config;
    const struct position p = {step, micro};
    if (micro >= c->accumulate)
        return fail(err, "%s/%s: micro-batch %" PRIu64 " of a step of %zu", c->dir, c->split, micro,
                    c->accumulate);
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

    /* The thread does not touch this slot, and only this function changes `released`. */
    const struct slot *s = &l->ring[l->released % RING];
    *batch = (struct batch){s->inputs, s->targets, s->start, s->weight, c->rows, c->block_size};
    return s->status == 0 ? 0 : fail(err, "%s", s->err.text);
}
