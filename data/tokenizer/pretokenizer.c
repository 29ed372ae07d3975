/* pretokenizer.c: see pretokenizer.h. Text is collected in a buffer. Once there is enough of it:
 *
 *   1. Barriers are found, where a word must end: separators and invalid UTF-8.
 *   2. The buffer is divided into tasks at places that are likely to be between two words (after a
 *      letter, before a space).
 *   3. Each task, on its own thread, finds words from its beginning up to the first that ends at or
 *      beyond its end. It sees the text beyond its end, so the words are exact.
 *   4. If a task did not stop where the next one begins, the guess was wrong, and the next task is
 *      repeated from there. So the result is that of one thread, whatever the pattern.
 *   5. The runs of words are taken in parallel and committed in order.
 *
 * The last word stays in the buffer if more text could extend it (pattern.h).
 */
#include "data/tokenizer/pretokenizer.h"
#include "base/array.h"
#include "base/minmax.h"
#include "base/utf8.h"
#include "data/tokenizer/bpe.h"
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_PER_THREAD = 2 << 20, TASKS_PER_THREAD = 8 };

/* A separator, which ends a document, or invalid bytes. */
struct barrier {
    size_t begin, end;
    bool document;
};

struct task {
    size_t begin, end; /* its words begin in this range */
    size_t stop;       /* where its last word ends */
    bool open;         /* the word at `stop` may continue in later text */
    struct word *words;
    size_t n, capacity;
    int status;
    struct error err;
};

struct pretokenizer {
    struct pretokenizer_config config;
    size_t threads, batch;
    struct matcher **matchers; /* of each thread */
    char *text;
    size_t start, used,
        capacity;    /* words before `start` have been taken; the pattern may see them */
    uint64_t offset; /* of text[0] since the last pretokenizer_finish */
    bool middle;     /* text[0] is not the beginning of a document */
    size_t limit;    /* of the text that can be processed now */
    bool last;       /* no text follows */
    struct barrier *barriers;
    size_t n_barriers, barriers_capacity;
    struct task *tasks;        /* (PRETOKENIZER_SLOTS) */
    size_t n_tasks, max_tasks; /* now; in any batch */
};

static size_t min_batch(const struct pretokenizer *p)
{
    return p->config.batch ? p->config.batch : size_min(p->threads, 64) * BATCH_PER_THREAD;
}

struct pretokenizer *pretokenizer_create(const struct pretokenizer_config *config,
                                         struct error *err)
{
    struct pretokenizer *p = calloc(1, sizeof *p);
    int status = 0;
    if (p) {
        p->config = *config;
        p->threads = (size_t)omp_get_max_threads();
        p->batch = min_batch(p);
        p->tasks = calloc(PRETOKENIZER_SLOTS, sizeof *p->tasks);
        p->matchers = calloc(p->threads, sizeof *p->matchers);
    }
    if (!p || !p->tasks || !p->matchers)
        status = fail(err, "out of memory");
    for (size_t i = 0; config->pattern && status == 0 && i < p->threads; i++)
        status = (p->matchers[i] = matcher_create(config->pattern, err)) ? 0 : -1;
    if (status == 0)
        return p;
    pretokenizer_destroy(p);
    return NULL;
}

void pretokenizer_destroy(struct pretokenizer *p)
{
    if (!p)
        return;
    for (size_t i = 0; p->matchers && i < p->threads; i++)
        matcher_destroy(p->matchers[i]);
    for (size_t i = 0; i < p->max_tasks; i++)
        free(p->tasks[i].words);
    free(p->matchers);
    free(p->tasks);
    free(p->barriers);
    free(p->text);
    free(p);
}

/* --- barriers --- */

static int add_barrier(struct pretokenizer *p, size_t begin, size_t end, bool document,
                       struct error *err)
{
    if (!array_reserve(&p->barriers, &p->barriers_capacity, p->n_barriers + 1))
        return fail(err, "out of memory");
    p->barriers[p->n_barriers++] = (struct barrier){begin, end, document};
    return 0;
}

static size_t skip_ascii(const char *text, size_t i, size_t end)
{
    while (i < end && (uint8_t)text[i] < 0x80)
        i++;
    return i;
}

/* Finds the runs of invalid bytes in [begin, end). */
static int find_invalid(struct pretokenizer *p, size_t begin, size_t end, struct error *err)
{
    size_t bad = end; /* where the current run began, or end */
    for (size_t i = skip_ascii(p->text, begin, end); i < end;) {
        uint32_t c;
        const int n = utf8_decode(p->text + i, size_min(end - i, UTF8_MAX), &c);
        if (n <= 0) {
            bad = size_min(bad, i++);
            continue;
        }
        if (bad < end && add_barrier(p, bad, i, false, err))
            return -1;
        bad = end;
        i = skip_ascii(p->text, i + (size_t)n, end);
    }
    if (bad == end)
        return 0;
    if (end < p->limit || p->last)
        return add_barrier(p, bad, end, false, err);
    p->limit = bad; /* the run may continue */
    return 0;
}

static int find_barriers(struct pretokenizer *p, struct error *err)
{
    const size_t m = strlen(p->config.separator);
    size_t begin = p->start;
    p->n_barriers = 0;
    p->limit = p->used;
    if (!p->last) { /* exclude an incomplete separator or character at the end */
        p->limit -= m && p->limit - p->start >= m ? m - 1 : 0;
        p->limit = p->start + utf8_complete(p->text + p->start, p->limit - p->start);
    }
    for (const char *s;
         m && (s = memmem(p->text + begin, p->used - begin, p->config.separator, m));) {
        const size_t at = (size_t)(s - p->text);
        if (find_invalid(p, begin, at, err) || add_barrier(p, at, at + m, true, err))
            return -1;
        begin = at + m;
    }
    p->limit = size_max(p->limit, begin);
    return find_invalid(p, begin, p->limit, err);
}

/* The first barrier that ends after `at`. */
static size_t barrier_after(const struct pretokenizer *p, size_t at)
{
    size_t low = 0, high = p->n_barriers;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (p->barriers[middle].end > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* --- tasks --- */

static int add_word(struct task *t, size_t begin, size_t end)
{
    if (!array_reserve(&t->words, &t->capacity, t->n + 1))
        return fail(&t->err, "out of memory");
    t->words[t->n++] = (struct word){(uint32_t)begin, (uint32_t)end};
    return 0;
}

/* Finds the end of the word at `at`, between the barriers at `begin` and `end`; 0: not known yet.
 */
static int find_end(struct pretokenizer *p, struct task *t, struct matcher *m, size_t begin,
                    size_t at, size_t end, size_t *word_end)
{
    if (!p->config.pattern) {
        *word_end = size_min(end, t->end);
        return 0;
    }
    const bool open = end == p->limit && !p->last;
    if (matcher_next(m, p->text + begin, end - begin, at - begin, open, begin == 0 && p->middle,
                     word_end, &t->err))
        return -1;
    *word_end += *word_end ? begin : 0;
    return 0;
}

static void run_task(struct pretokenizer *p, struct task *t, struct matcher *m)
{
    size_t i = barrier_after(p, t->begin);
    if (i < p->n_barriers && p->barriers[i].begin < t->begin) /* the guess is inside a barrier */
        t->begin = p->barriers[i].end;
    t->n = 0;
    t->open = false;
    t->status = 0;
    t->stop = t->begin;
    while (t->stop < t->end && t->status == 0 && !t->open) {
        while (i < p->n_barriers && p->barriers[i].end <= t->stop)
            i++;
        const struct barrier *next = i < p->n_barriers ? &p->barriers[i] : NULL;
        size_t end = 0;
        if (next && next->begin == t->stop) {
            end = next->end;
            t->status = add_word(t, next->document ? end : t->stop, end);
        } else {
            t->status = find_end(p, t, m, i ? p->barriers[i - 1].end : 0, t->stop,
                                 next ? next->begin : p->limit, &end);
            t->open = t->status == 0 && end == 0;
            if (t->status == 0 && !t->open)
                t->status = add_word(t, t->stop, end);
        }
        if (!t->open)
            t->stop = end;
    }
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A place near `at` where a word probably ends: between a letter and a space or newline, else the
 * beginning of a character. */
static size_t guess_boundary(const struct pretokenizer *p, size_t at, size_t range)
{
    for (size_t i = at; i < p->limit && i < at + range; i++)
        if ((p->text[i] == ' ' || p->text[i] == '\n') && is_letter(p->text[i - 1]))
            return i;
    while (at < p->limit && ((uint8_t)p->text[at] & 0xC0) == 0x80)
        at++;
    return at;
}

static void make_tasks(struct pretokenizer *p)
{
    size_t size = min_batch(p) / (TASKS_PER_THREAD * p->threads) + 1;
    const size_t range = size / 16 + 16;
    while ((p->limit - p->start) / size >= PRETOKENIZER_SLOTS - 1)
        size *= 2;
    p->n_tasks = 0;
    for (size_t begin = p->start; begin < p->limit;) {
        struct task *t = &p->tasks[p->n_tasks++];
        t->begin = begin;
        t->end = begin =
            p->limit - begin <= size + range ? p->limit : guess_boundary(p, begin + size, range);
    }
    p->max_tasks = size_max(p->max_tasks, p->n_tasks);
}

/* Steps 3 and 4. Keeps the tasks whose words are final; *taken is where the remaining text begins.
 */
static int find_words(struct pretokenizer *p, size_t *taken, struct error *err)
{
#pragma omp parallel for schedule(dynamic) num_threads((int)p->threads)
    for (size_t i = 0; i < p->n_tasks; i++)
        run_task(p, &p->tasks[i], p->matchers[omp_get_thread_num()]);
    *taken = p->start;
    for (size_t i = 0; i < p->n_tasks; i++) {
        struct task *t = &p->tasks[i];
        if (t->begin != *taken) {
            t->begin = *taken;
            run_task(p, t, p->matchers[0]);
        }
        if (t->status != 0)
            return fail(err, "%s", t->err.text);
        *taken = t->stop;
        if (t->open)
            p->n_tasks = i + 1;
    }
    return 0;
}

static int pass_on(struct pretokenizer *p, struct error *err)
{
    const struct pretokenizer_config *c = &p->config;
#pragma omp parallel for schedule(dynamic) num_threads((int)p->threads)
    for (size_t i = 0; i < p->n_tasks; i++) {
        struct task *t = &p->tasks[i];
        const struct word_run run = {p->text, p->offset, t->words, t->n};
        t->status = c->take(c->context, (size_t)omp_get_thread_num(), i, &run, &t->err);
    }
    for (size_t i = 0; i < p->n_tasks; i++)
        if (p->tasks[i].status != 0)
            return fail(err, "%s", p->tasks[i].err.text);
    for (size_t i = 0; i < p->n_tasks && c->commit; i++)
        if (c->commit(c->context, i, err))
            return -1;
    return 0;
}

/* Removes the text before `taken`, except what the pattern may look back at. */
static void keep_rest(struct pretokenizer *p, size_t taken)
{
    size_t context = p->config.pattern ? p->config.pattern->lookbehind : 0;
    const size_t i = barrier_after(p, taken), begin = i ? p->barriers[i - 1].end : 0;
    if (context < taken - begin) {
        while (context && context < taken - begin &&
               ((uint8_t)p->text[taken - context] & 0xC0) == 0x80)
            context++;
        p->middle = true;
    } else {
        p->middle = p->middle && begin == 0;
        context = taken - begin;
    }
    memmove(p->text, p->text + taken - context, p->used - taken + context);
    p->used -= taken - context;
    p->offset += taken - context;
    p->start = context;
}

/* Takes as many words as are final. */
static int process(struct pretokenizer *p, bool last, struct error *err)
{
    size_t taken = p->start;
    p->last = last;
    if (p->used == p->start)
        return 0;
    if (find_barriers(p, err))
        return -1;
    make_tasks(p);
    if (find_words(p, &taken, err) || pass_on(p, err))
        return -1;
    keep_rest(p, taken);
    p->batch = min_batch(p);
    if (p->used - p->start > p->batch / 2) /* a long word: retry with twice as much text */
        p->batch = 2 * (p->used - p->start);
    return p->batch <= 2 * (size_t)BPE_MAX_WORD
               ? 0
               : fail(err, "a word of more than %d MiB", BPE_MAX_WORD >> 20);
}

int pretokenizer_append(struct pretokenizer *p, const char *bytes, size_t n, struct error *err)
{
    if (n == 0)
        return 0;
    if (p->capacity - p->used < n && !array_reserve(&p->text, &p->capacity, p->used + n + p->batch))
        return fail(err, "out of memory for %zu bytes of text", p->used + n);
    memcpy(p->text + p->used, bytes, n);
    p->used += n;
    return p->used - p->start >= p->batch ? process(p, false, err) : 0;
}

int pretokenizer_finish(struct pretokenizer *p, struct error *err)
{
    if (process(p, true, err))
        return -1;
    p->start = p->used = 0;
    p->offset = 0;
    p->middle = false;
    return 0;
}

int pretokenizer_end_file(struct pretokenizer *p, struct error *err)
{
    return p->config.pattern ? 0 : pretokenizer_finish(p, err);
}

int pretokenizer_end_document(struct pretokenizer *p, struct error *err)
{
    const struct pretokenizer_config *c = &p->config;
    const struct word_run run = {p->text, 0, &(struct word){0, 0}, 1};
    return pretokenizer_finish(p, err) || c->take(c->context, 0, 0, &run, err) ||
                   (c->commit && c->commit(c->context, 0, err))
               ? -1
               : 0;
}
