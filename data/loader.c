/* loader.c: from a folder of shards to batches of windows.
 *
 * The thread fills a ring of RING micro-batches, in the order in which training asks for them. Two counters say it all: it may
 * fill slot `filled` while filled - released < RING; the caller holds slot `released` until its next call. Whoever asks out of
 * order starts a new generation: what is ready is dropped, and a batch that the thread still has in hand is for nobody.
 */
#include "data/loader.h"
#include "base/thread.h"
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { RING = 4 };

struct position {
    uint64_t step, micro;
};

struct slot {
    uint32_t *inputs, *targets, *starts; /* starts NULL where documents are not masked */
    int status;
    struct error err;
};

struct loader {
    struct split *split;
    struct windows windows;
    size_t rows, accumulate;
    const struct documents *documents; /* the split's, where they matter */
    uint64_t *begins;                  /* of windows that begin at documents */
    bool masks;

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

size_t loader_bytes(size_t tokens, size_t block_size, bool mask_documents)
{
    const struct slot *s = NULL;
    return ((mask_documents ? 3 : 2) * RING * tokens + block_size + 1) * sizeof *s->inputs;
}

static int allocate(struct loader *l, struct error *err)
{
    const size_t T = l->windows.block_size, arrays = l->masks ? 3 : 2;
    size_t n, bytes;
    if (__builtin_mul_overflow(l->rows, T, &n) ||
        __builtin_mul_overflow(n, arrays * RING * sizeof *l->memory, &bytes) ||
        !(l->memory = malloc(bytes)) || !(l->scratch = malloc((T + 1) * sizeof *l->scratch)))
        return fail(err, "out of memory for batches of %zu rows of %zu tokens", l->rows, T);
    for (size_t i = 0; i < RING; i++) {
        l->ring[i].inputs = l->memory + arrays * i * n;
        l->ring[i].targets = l->ring[i].inputs + n;
        l->ring[i].starts = l->masks ? l->ring[i].targets + n : NULL;
    }
    return 0;
}

static int check_sizes(const struct loader *l, struct error *err)
{
    const uint64_t T = l->windows.block_size;
    size_t rows_per_step;
    if (T == 0 || T > UINT32_MAX || l->rows == 0 || l->accumulate == 0 ||
        __builtin_mul_overflow(l->rows, l->accumulate, &rows_per_step))
        return fail(err, "%s/%s: cannot read %zu times %zu rows of %llu tokens",
                    split_dir(l->split), split_name(l->split), l->accumulate, l->rows,
                    (unsigned long long)T);
    if (l->windows.tokens < T + 1)
        return fail(err, "%s/%s: %llu tokens, block_size %llu needs at least %llu",
                    split_dir(l->split), split_name(l->split),
                    (unsigned long long)l->windows.tokens, (unsigned long long)T,
                    (unsigned long long)T + 1);
    return 0;
}

/* What windows and masks need to know of the documents. */
static int find_documents(struct loader *l, enum window_starts kind, struct error *err)
{
    if (kind == WINDOWS_ANYWHERE && !l->masks)
        return 0;
    if (!(l->documents = split_documents(l->split, err)))
        return -1;
    if (kind == WINDOWS_ANYWHERE)
        return 0;
    struct windows *w = &l->windows;
    w->count = documents_windows(l->documents, w->block_size, NULL);
    if (!(l->begins = malloc(w->count * sizeof *l->begins)))
        return fail(err, "%s/%s: out of memory for %llu windows", split_dir(l->split),
                    split_name(l->split), (unsigned long long)w->count);
    documents_windows(l->documents, w->block_size, l->begins);
    w->begins = l->begins;
    return 0;
}

static void *read_ahead(void *loader);

static int start_thread(struct loader *l, struct error *err)
{
    const int e = thread_start(&l->thread, read_ahead, l);
    if (e != 0)
        return fail(err, "%s/%s: cannot start a thread to read ahead: %s", split_dir(l->split),
                    split_name(l->split), strerror(e));
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
    l->rows = c->rows;
    l->accumulate = c->accumulate;
    l->next = l->expected = (struct position){c->first_step, c->first_micro};
    if (!(l->split = split_open(c->dir, c->split, err)))
        goto failed;
    l->masks = c->mask_documents;
    l->windows =
        (struct windows){c->order, c->seed, split_tokens(l->split), c->block_size, NULL, 0};
    if (check_sizes(l, err) != 0 || find_documents(l, c->windows, err) != 0 ||
        allocate(l, err) != 0 || start_thread(l, err) != 0)
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
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->mutex);
    split_close(l->split);
    free(l->begins);
    free(l->memory);
    free(l->scratch);
    free(l);
}

/* --- reading --- */

static int read_batch(struct loader *l, struct position p, struct slot *s)
{
    const size_t T = l->windows.block_size, rows_per_step = l->rows * l->accumulate;
    for (size_t r = 0; r < l->rows; r++) {
        const uint64_t begin =
            window_begin(&l->windows, p.step, rows_per_step, p.micro * l->rows + r);
        if (split_read_wrapped(l->split, begin, T + 1, l->scratch, &s->err) != 0)
            return -1;
        memcpy(s->inputs + r * T, l->scratch, T * sizeof *l->scratch);
        memcpy(s->targets + r * T, l->scratch + 1, T * sizeof *l->scratch);
        if (s->starts)
            documents_mask(l->documents, begin, T, s->starts + r * T, s->targets + r * T);
    }
    return 0;
}

static struct position following(const struct loader *l, struct position p)
{
    return p.micro + 1 < l->accumulate ? (struct position){p.step, p.micro + 1}
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

int loader_batch(struct loader *l, uint64_t step, uint64_t micro, const uint32_t **inputs,
                 const uint32_t **targets, struct error *err)
{
    if (micro >= l->accumulate)
        return fail(err, "%s/%s: micro-batch %llu of a step of %zu", split_dir(l->split),
                    split_name(l->split), (unsigned long long)micro, l->accumulate);
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

    const struct slot *s =
        &l->ring[l->released %
                 RING]; /* the thread leaves it alone, and only we change `released` */
    *inputs = s->inputs;
    *targets = s->targets;
    return s->status == 0 ? 0 : fail(err, "%s", s->err.text);
}

const uint32_t *loader_starts(const struct loader *l)
{
    return l->ring[l->released % RING].starts;
}

/* Targets that count in the rows [first, end) of a step. */
static uint64_t counted(const struct loader *l, uint64_t step, uint64_t first, uint64_t end)
{
    const size_t rows_per_step = l->rows * l->accumulate;
    uint64_t n = 0;
    for (uint64_t row = first; row < end; row++)
        n += documents_counted(l->documents, window_begin(&l->windows, step, rows_per_step, row),
                               l->windows.block_size);
    return n;
}

double loader_weight(const struct loader *l, uint64_t step, uint64_t micro)
{
    if (!l->masks)
        return 1 / (double)l->accumulate;
    const uint64_t all = counted(l, step, 0, l->rows * l->accumulate);
    return all ? (double)counted(l, step, micro * l->rows, (micro + 1) * l->rows) / (double)all : 0;
}

const struct split *loader_split(const struct loader *l)
{
    return l->split;
}
