/* words.c: a text, as it streams by, cut into words and documents by all cores.
 *
 * The text gathers in a buffer. Once there is enough of it:
 *   1. breaks are found, where a word must end whatever the pattern says: separators, and bytes that are no UTF-8;
 *   2. the buffer is cut into tasks at places that are likely to lie between two words (a letter before a space);
 *   3. each task, on its own thread, finds the words from its beginning up to the first word that ends at or behind its end. It sees the
 *      text behind its end, so that is where the words really are;
 *   4. where a task did not stop where the next one began, the guess was wrong, and the next one's words are found again from there.
 *      So whatever the pattern, the result is that of one thread that goes from word to word;
 *   5. the runs of words are handed on, in parallel, and committed in order.
 * The last word stays in the buffer where more text could make it longer (pattern.h).
 */
#include "data/tokenizer/words.h"
#include "base/utf8.h"
#include "data/tokenizer/bpe.h"
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_PER_THREAD = 2 << 20, TASKS_PER_THREAD = 8 };

struct stop { /* a break */
    size_t begin, end;
    bool document;
};

struct task {
    size_t begin, end; /* where it begins; words that begin below end are its own */
    size_t stop;       /* where its last word ended */
    bool open;         /* the word at `stop` may go on in text that has not come yet */
    uint32_t *marks;
    size_t n, room;
    int status;
    struct error err;
};

struct words {
    struct words_config config;
    size_t threads, batch;
    struct matcher **matchers; /* a thread each */
    char *text;
    size_t start, used,
        room; /* the words of text[0 … start) have been taken: it is there to look back at */
    uint64_t offset; /* of text[0] since the beginning of what words_finish ends */
    bool middle;     /* text[0] does not begin a document */
    size_t limit;    /* of the text that can be looked at now */
    bool last;       /* nothing follows it */
    struct stop *stops;
    size_t n_stops, stops_room;
    struct task *tasks;
    size_t n_tasks, most_tasks; /* now; of any batch: the others were never touched */
};

static size_t least_batch(const struct words *w)
{
    return w->config.batch ? w->config.batch
                           : (w->threads < 64 ? w->threads : 64) * BATCH_PER_THREAD;
}

struct words *words_create(const struct words_config *config, struct error *err)
{
    struct words *w = calloc(1, sizeof *w);
    if (!w || !(w->tasks = calloc(WORDS_SLOTS, sizeof *w->tasks))) {
        fail(err, "out of memory");
        words_destroy(w);
        return NULL;
    }
    w->config = *config;
    w->threads = (size_t)omp_get_max_threads();
    w->batch = least_batch(w);
    int status =
        (w->matchers = calloc(w->threads, sizeof(void *))) ? 0 : fail(err, "out of memory");
    for (size_t i = 0; config->pattern && i < w->threads && status == 0; i++)
        status = (w->matchers[i] = matcher_create(config->pattern, err)) ? 0 : -1;
    if (status == 0)
        return w;
    words_destroy(w);
    return NULL;
}

void words_destroy(struct words *w)
{
    if (!w)
        return;
    for (size_t i = 0; w->matchers && i < w->threads; i++)
        matcher_destroy(w->matchers[i]);
    for (size_t i = 0; i < w->most_tasks; i++)
        free(w->tasks[i].marks);
    free(w->matchers);
    free(w->tasks);
    free(w->stops);
    free(w->text);
    free(w);
}

/* --- breaks --- */

static int add_stop(struct words *w, size_t begin, size_t end, bool document, struct error *err)
{
    if (w->n_stops == w->stops_room) {
        const size_t room = w->stops_room ? 2 * w->stops_room : 64;
        struct stop *stops = realloc(w->stops, room * sizeof *stops);
        if (!stops)
            return fail(err, "out of memory");
        w->stops = stops;
        w->stops_room = room;
    }
    w->stops[w->n_stops++] = (struct stop){begin, end, document};
    return 0;
}

/* Eight bytes of ASCII at a time. */
static size_t skip_ascii(const char *text, size_t i, size_t end)
{
    for (uint64_t eight; i + 8 <= end; i += 8) {
        memcpy(&eight, text + i, 8);
        if (eight & 0x8080808080808080)
            break;
    }
    return i;
}

/* The runs of bytes in [begin, end) that are no UTF-8. */
static int find_invalid(struct words *w, size_t begin, size_t end, struct error *err)
{
    size_t bad = end; /* where the run in hand began; end: there is none */
    for (size_t i = skip_ascii(w->text, begin, end); i < end;) {
        uint32_t code_point;
        const int n = (uint8_t)w->text[i] < 0x80
                          ? 1
                          : utf8_decode(w->text + i, end - i < 4 ? end - i : 4, &code_point);
        if (n > 0 && bad < end) {
            if (add_stop(w, bad, i, false, err) != 0)
                return -1;
            bad = end;
        } else if (n <= 0 && bad == end) {
            bad = i;
        }
        i = n > 0 ? skip_ascii(w->text, i + (size_t)n, end) : i + 1;
    }
    if (bad == end)
        return 0;
    if (end < w->limit || w->last)
        return add_stop(w, bad, end, false, err);
    w->limit = bad; /* the run may go on */
    return 0;
}

static int find_stops(struct words *w, struct error *err)
{
    const size_t m = w->config.separator_length;
    size_t begin = w->start;
    w->n_stops = 0;
    w->limit = w->used;
    if (!w->last) {
        w->limit -= m && w->limit - w->start >= m ? m - 1 : 0;
        w->limit = w->start + utf8_complete(w->text + w->start, w->limit - w->start);
    }
    for (const char *s;
         m && (s = memmem(w->text + begin, w->used - begin, w->config.separator, m));) {
        const size_t at = (size_t)(s - w->text);
        if (find_invalid(w, begin, at, err) != 0 || add_stop(w, at, at + m, true, err) != 0)
            return -1;
        begin = at + m;
    }
    if (begin > w->limit)
        w->limit = begin;
    return find_invalid(w, begin, w->limit, err);
}

/* The first break that ends behind `at`. */
static size_t stop_behind(const struct words *w, size_t at)
{
    size_t low = 0, high = w->n_stops;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (w->stops[middle].end > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* --- tasks --- */

static int mark(struct task *t, size_t end, bool document)
{
    if (t->n == t->room) {
        const size_t room = t->room ? 2 * t->room : 1024;
        uint32_t *marks = realloc(t->marks, room * sizeof *marks);
        if (!marks)
            return fail(&t->err, "out of memory");
        t->marks = marks;
        t->room = room;
    }
    t->marks[t->n++] = (uint32_t)end | (document ? WORDS_DOCUMENT : 0);
    return 0;
}

/* The word at `at`, between the breaks at `begin` and `end`. 0 in *stop: it may go on. */
static int next_word(struct words *w, struct task *t, struct matcher *m, size_t begin, size_t at,
                     size_t end, size_t *stop)
{
    if (!w->config.pattern) {
        *stop = end < t->end ? end : t->end;
        return 0;
    }
    const bool open = end == w->limit && !w->last;
    if (matcher_next(m, w->text + begin, end - begin, at - begin, open, begin == 0 && w->middle,
                     stop, &t->err) != 0)
        return -1;
    *stop += *stop ? begin : 0;
    return 0;
}

static void run_task(struct words *w, struct task *t, struct matcher *m)
{
    size_t i = stop_behind(w, t->begin);
    if (i < w->n_stops && w->stops[i].begin < t->begin) /* the guess fell into a break */
        t->begin = w->stops[i].end;
    t->n = 0;
    t->open = false;
    t->status = 0;
    t->stop = t->begin;
    while (t->stop < t->end && t->status == 0) {
        while (i < w->n_stops && w->stops[i].end <= t->stop)
            i++;
        const struct stop *next = i < w->n_stops ? &w->stops[i] : NULL;
        if (next && next->begin == t->stop) {
            t->status = mark(t, next->end, next->document);
            t->stop = next->end;
            continue;
        }
        size_t end;
        t->status = next_word(w, t, m, i ? w->stops[i - 1].end : 0, t->stop,
                              next ? next->begin : w->limit, &end);
        if (t->status == 0 && end == 0) {
            t->open = true;
            break;
        }
        if (t->status == 0)
            t->status = mark(t, end, false);
        t->stop = end;
    }
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A place near `at` where a word probably ends: behind a letter that a space or a line's end follows; a character's beginning else. */
static size_t guess_boundary(const struct words *w, size_t at, size_t look)
{
    for (size_t i = at; i < w->limit && i < at + look; i++)
        if ((w->text[i] == ' ' || w->text[i] == '\n') && is_letter(w->text[i - 1]))
            return i;
    while (at < w->limit && ((uint8_t)w->text[at] & 0xC0) == 0x80)
        at++;
    return at;
}

static void make_tasks(struct words *w)
{
    const size_t length = w->limit - w->start;
    size_t size = least_batch(w) / (TASKS_PER_THREAD * w->threads) + 1;
    const size_t look = size / 16 + 16;
    while (length / size >= WORDS_SLOTS - 1)
        size *= 2;
    w->n_tasks = 0;
    for (size_t begin = w->start; begin < w->limit;) {
        const size_t end =
            w->limit - begin <= size + look ? w->limit : guess_boundary(w, begin + size, look);
        struct task *t = &w->tasks[w->n_tasks++];
        t->begin = begin;
        t->end = begin = end;
    }
    if (w->n_tasks > w->most_tasks)
        w->most_tasks = w->n_tasks;
}

/* Steps 3 and 4. Leaves the tasks whose words are certain, and returns in *taken where the rest begins. */
static int find_words(struct words *w, size_t *taken, struct error *err)
{
#pragma omp parallel for schedule(dynamic) num_threads((int)w->threads)
    for (size_t i = 0; i < w->n_tasks; i++)
        run_task(w, &w->tasks[i], w->matchers[omp_get_thread_num()]);
    *taken = w->start;
    for (size_t i = 0; i < w->n_tasks; i++) {
        struct task *t = &w->tasks[i];
        if (t->begin != *taken) {
            t->begin = *taken;
            run_task(w, t, w->matchers[0]);
        }
        if (t->status != 0)
            return fail(err, "%s", t->err.text);
        *taken = t->stop;
        if (t->open) {
            w->n_tasks = i + 1;
            break;
        }
    }
    return 0;
}

static int hand_on(struct words *w, struct error *err)
{
#pragma omp parallel for schedule(dynamic) num_threads((int)w->threads)
    for (size_t i = 0; i < w->n_tasks; i++) {
        struct task *t = &w->tasks[i];
        const struct word_run run = {w->text, w->offset, t->begin, t->n, t->marks};
        t->status =
            w->config.take(w->config.context, (size_t)omp_get_thread_num(), i, &run, &t->err);
    }
    for (size_t i = 0; i < w->n_tasks; i++)
        if (w->tasks[i].status != 0)
            return fail(err, "%s", w->tasks[i].err.text);
    for (size_t i = 0; i < w->n_tasks && w->config.commit; i++)
        if (w->config.commit(w->config.context, i, err) != 0)
            return -1;
    return 0;
}

/* Keeps what is not taken, and what the pattern may look back at. */
static void keep_rest(struct words *w, size_t taken)
{
    size_t context = w->config.pattern ? pattern_lookbehind(w->config.pattern) : 0;
    const size_t i = stop_behind(w, taken);
    const size_t begin =
        i ? w->stops[i - 1].end : 0; /* of the text that the word at `taken` is in */
    if (context < taken - begin) {
        while (context && context < taken - begin &&
               ((uint8_t)w->text[taken - context] & 0xC0) == 0x80)
            context++;
        w->middle = true;
    } else {
        w->middle = w->middle && begin == 0;
        context = taken - begin;
    }
    memmove(w->text, w->text + taken - context, w->used - taken + context);
    w->used -= taken - context;
    w->offset += taken - context;
    w->start = context;
}

/* Takes as many words as are certain. */
static int process(struct words *w, bool last, struct error *err)
{
    size_t taken = w->start;
    w->last = last;
    if (w->used == w->start)
        return 0;
    if (find_stops(w, err) != 0)
        return -1;
    make_tasks(w);
    if (find_words(w, &taken, err) != 0 || hand_on(w, err) != 0)
        return -1;
    keep_rest(w, taken);
    w->batch = least_batch(w);
    if (w->used - w->start >
        w->batch / 2) /* a long word: looked at again when there is twice as much of it */
        w->batch = 2 * (w->used - w->start);
    return w->batch <= 2 * (size_t)BPE_MAX_WORD
               ? 0
               : fail(err, "a word of more than %d MiB", BPE_MAX_WORD >> 20);
}

int words_append(struct words *w, const char *bytes, size_t n, struct error *err)
{
    if (n == 0)
        return 0;
    if (w->room - w->used < n) {
        const size_t room = w->used + n + w->batch;
        char *text = realloc(w->text, room);
        if (!text)
            return fail(err, "out of memory for %zu bytes of text", room);
        w->text = text;
        w->room = room;
    }
    memcpy(w->text + w->used, bytes, n);
    w->used += n;
    return w->used - w->start >= w->batch ? process(w, false, err) : 0;
}

int words_finish(struct words *w, struct error *err)
{
    if (process(w, true, err) != 0)
        return -1;
    w->start = w->used = 0;
    w->offset = 0;
    w->middle = false;
    return 0;
}

int words_end_document(struct words *w, struct error *err)
{
    if (words_finish(w, err) != 0)
        return -1;
    const uint32_t end = WORDS_DOCUMENT;
    const struct word_run run = {w->text, 0, 0, 1, &end};
    return w->config.take(w->config.context, 0, 0, &run, err) != 0 ||
                   (w->config.commit && w->config.commit(w->config.context, 0, err) != 0)
               ? -1
               : 0;
}
