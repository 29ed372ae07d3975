/* log.c: see log.h. metrics.jsonl is written a whole line at a time, so that a reader hardly ever sees half an object. */
#include "train/log.h"
#include "base/clock.h"
#include "base/input_file.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LINE_LIMIT = 4096 }; /* bytes of a line of metrics; ours have 300 */

/* Remembers a line, which log_validation may add to; forgets the one before. */
static void remember(struct log *l, const char *line, size_t size)
{
    free(l->last);
    l->last = strndup(line, size);
    l->last_size = l->last ? size : 0;
}

/* Whether n bytes are a whole line of metrics of a step up to `step`. */
static bool belongs(const char *line, size_t n, uint64_t step)
{
    cJSON *object = n && line[n - 1] == '\n' ? cJSON_ParseWithLength(line, n) : NULL;
    const cJSON *s = cJSON_GetObjectItem(object, "step");
    const bool does = cJSON_IsNumber(s) && s->valuedouble <= (double)step;
    cJSON_Delete(object);
    return does;
}

/* Finds the end of the lines that belong, up to the first that does not, and the last of them. */
static void find_end(struct log *l, FILE *metrics, uint64_t step)
{
    char line[LINE_LIMIT];
    l->end = 0;
    remember(l, "", 0);
    while (fgets(line, sizeof line, metrics) && belongs(line, strlen(line), step)) {
        l->end += (off_t)strlen(line);
        remember(l, line, strlen(line));
    }
}

/* The same of the lines that wait. */
static void cut_pending(struct log *l, uint64_t step)
{
    size_t kept = 0;
    while (kept < l->pending_size) { /* whole lines, all of them */
        const char *line = l->pending + kept, *end = memchr(line, '\n', l->pending_size - kept);
        const size_t n = (size_t)(end - line) + 1;
        if (!belongs(line, n, step))
            break;
        remember(l, line, n);
        kept += n;
    }
    l->pending_size = kept;
}

int log_cut_after(struct log *l, uint64_t step, struct error *err)
{
    uint64_t size;
    const int fd = input_file_open(l->metrics_path, &size, err);
    if (fd < 0)
        return -1;
    FILE *metrics = fdopen(fd, "r");
    if (!metrics) {
        close(fd);
        return fail(err, "%s: out of memory", l->metrics_path);
    }
    find_end(l, metrics, step);
    fclose(metrics);
    cut_pending(l, step);
    return ftruncate(l->fd, l->end) ? fail(err, "%s: %s", l->metrics_path, strerror(errno)) : 0;
}

int log_open(struct log *l, const char *run_dir, uint64_t step, uint64_t steps, uint64_t every,
             struct error *err)
{
    *l = (struct log){.live = isatty(STDOUT_FILENO),
                      .steps = steps,
                      .every = every,
                      .first_step = step,
                      .started = seconds()};
    snprintf(l->metrics_path, sizeof l->metrics_path, "%s/metrics.jsonl", run_dir);
    l->fd = open(l->metrics_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (step ? 0 : O_TRUNC),
                 0666);
    if (l->fd < 0)
        return fail(err, "%s: %s", l->metrics_path, strerror(errno));
    return step ? log_cut_after(l, step, err) : 0;
}

/* --- metrics.jsonl --- */

/* A number as JSON has it: null where it is none. */
static void put(FILE *f, const char *name, double x)
{
    if (isfinite(x))
        fprintf(f, ", \"%s\": %.9g", name, x);
    else
        fprintf(f, ", \"%s\": null", name);
}

static void put_count(FILE *f, const char *name, uint64_t n)
{
    fprintf(f, ", \"%s\": %llu", name, (unsigned long long)n);
}

/* Writes the lines that wait, all of them or none: half a line would be cut off when the run goes on, and those behind it. */
static int write_pending(struct log *l)
{
    for (size_t done = 0; done < l->pending_size;) {
        const ssize_t n =
            pwrite(l->fd, l->pending + done, l->pending_size - done, l->end + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            const int e = n ? errno : EIO;
            (void)!ftruncate(l->fd, l->end);
            errno = e;
            return -1;
        }
        done += (size_t)n;
    }
    l->end += (off_t)l->pending_size;
    l->pending_size = 0;
    return 0;
}

/* What the disk does not take stays in memory until it does: a full disk stops no run. */
static void append(struct log *l, const char *line, size_t size)
{
    char *grown = line ? realloc(l->pending, l->pending_size + size) : NULL;
    if (!grown) {
        log_warn(l, "%s: no memory for a line of metrics", l->metrics_path);
        return;
    }
    l->pending = grown;
    memcpy(grown + l->pending_size, line, size);
    l->pending_size += size;
    remember(l, line, size);
    const bool failed = write_pending(l) != 0;
    if (failed && !l->failing)
        log_warn(l, "%s: %s; its lines wait in memory", l->metrics_path, strerror(errno));
    if (!failed && l->failing)
        log_note(l, "%s: written again", l->metrics_path);
    l->failing = failed;
}

/* Takes the last line back. What is written in its place is longer. */
static void take_back(struct log *l)
{
    if (l->pending_size >= l->last_size)
        l->pending_size -= l->last_size;
    else
        l->end -= (off_t)l->last_size;
    remember(l, "", 0);
}

static void write_metrics(struct log *l, const struct step_metrics *m)
{
    char *line = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&line, &size);
    if (f) {
        fprintf(f, "{\"step\": %llu", (unsigned long long)m->step);
        put_count(f, "tokens", m->tokens);
        put(f, "loss", m->loss);
        put(f, "lr", m->lr);
        put(f, "grad_norm", m->grad_norm);
        put(f, "tokens_per_s", m->tokens_per_s);
        put(f, "mfu", m->mfu);
        if (m->stall_s > 0)
            put(f, "stall_s", m->stall_s);
        if (m->skipped)
            fprintf(f, ", \"skipped\": \"%s\"", m->skipped);
        if (m->rolled_back_from) {
            put_count(f, "rolled_back_from", m->rolled_back_from);
            put_count(f, "batches_skipped", m->batches_skipped);
        }
        fputs("}\n", f);
    }
    const bool whole = f && !fclose(f); /* which fills in line and size */
    append(l, whole ? line : NULL, size);
    free(line);
}

void log_validation(struct log *l, uint64_t step, double val_loss)
{
    char start[64], value[32] = "null", *line;
    snprintf(start, sizeof start, "{\"step\": %llu,", (unsigned long long)step);
    if (isfinite(val_loss))
        snprintf(value, sizeof value, "%.9g", val_loss);
    log_note(l, "step %llu  val_loss %.4f", (unsigned long long)step,
             isnan(val_loss) ? (double)NAN : val_loss);
    const bool adds = l->last_size > 2 && !strncmp(l->last, start, strlen(start)) &&
                      !strstr(l->last, "\"val_loss\"");
    const int n =
        adds ? asprintf(&line, "%.*s, \"val_loss\": %s}\n", (int)l->last_size - 2, l->last, value)
             : asprintf(&line, "%s \"val_loss\": %s}\n", start, value);
    if (adds)
        take_back(l);
    append(l, n < 0 ? NULL : line, (size_t)n);
    if (n >= 0)
        free(line);
}

/* --- lines for people --- */

/* 1:23:45 or 2:05 */
static void clock_text(char *text, size_t size, double s)
{
    const long t = isfinite(s) && s < 1e7 ? (long)(s + 0.5) : 0;
    if (t >= 3600)
        snprintf(text, size, "%ld:%02ld:%02ld", t / 3600, t / 60 % 60, t % 60);
    else
        snprintf(text, size, "%ld:%02ld", t / 60, t % 60);
}

static void step_text(const struct log *l, const struct step_metrics *m, char *text, size_t size)
{
    char left[32];
    const uint64_t done = m->step - l->first_step;
    clock_text(left, sizeof left,
               (seconds() - l->started) / (double)done * (double)(l->steps - m->step));
    snprintf(
        text, size,
        "step %llu/%llu  loss %.4f  smoothed %.4f  lr %.2e  grad_norm %.3f  %.0f tokens/s  %s left",
        (unsigned long long)m->step, (unsigned long long)l->steps, m->loss, m->smoothed_loss, m->lr,
        m->grad_norm, m->tokens_per_s, left);
}

static int terminal_width(void)
{
    struct winsize w;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? w.ws_col - 1 : 79;
}

void log_step(struct log *l, const struct step_metrics *m)
{
    char text[256];
    step_text(l, m, text, sizeof text);
    const bool last = m->step == l->steps;
    if (l->live) {
        printf("\r\033[K%.*s", terminal_width(), text);
        fflush(stdout);
        l->line_open = true;
    } else if (m->step % l->every == 0 || m->step == 1 || last) {
        puts(text);
        fflush(stdout);
    }
    write_metrics(l, m);
}

void log_note(struct log *l, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (l->line_open)
        printf("\r\033[K");
    vprintf(format, arguments);
    putchar('\n');
    fflush(stdout);
    l->line_open = false;
    va_end(arguments);
}

void log_warn(struct log *l, const char *format, ...)
{
    struct error line;
    va_list arguments;
    va_start(arguments, format);
    char text[sizeof line.text];
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fail(&line, "%s", text); /* one line, whatever the names in it */
    if (l->line_open)
        printf("\r\033[K");
    l->line_open = false;
    fflush(stdout);
    fprintf(stderr, "handgrad: %s\n", line.text);
}

void log_end_line(struct log *l)
{
    if (l->line_open)
        putchar('\n');
    l->line_open = false;
    fflush(stdout);
}

void log_close(struct log *l)
{
    log_end_line(l);
    if (write_pending(l))
        log_warn(l, "%s: %s; the lines that waited in memory are lost: the last %zu bytes",
                 l->metrics_path, strerror(errno), l->pending_size);
    if (l->fd > 0 && close(l->fd) && errno != EINTR)
        log_warn(l, "%s: %s", l->metrics_path, strerror(errno));
    free(l->pending);
    free(l->last);
    *l = (struct log){0};
}
