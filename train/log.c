/* log.c: see log.h. metrics.jsonl is only ever appended to in whole lines. */
#include "train/log.h"
#include "base/append.h"
#include "base/clock.h"
#include "base/text_append.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* --- metrics.jsonl --- */

enum { LINE_LIMIT = 4096 }; /* bytes; lines have about 300 */

/* Whether n bytes are a whole line with the metrics of a step up to `step`. */
static bool is_up_to(const char *line, size_t n, uint64_t step)
{
    cJSON *object = n && line[n - 1] == '\n' ? cJSON_ParseWithLength(line, n) : NULL;
    const cJSON *s = cJSON_GetObjectItem(object, "step");
    const bool is = cJSON_IsNumber(s) && s->valuedouble <= step;
    cJSON_Delete(object);
    return is;
}

/* The size of the leading lines up to `step`; sets last_size. */
static size_t size_up_to(struct log *l, FILE *lines, uint64_t step)
{
    char line[LINE_LIMIT];
    size_t size = 0;
    while (fgets(line, sizeof line, lines) && is_up_to(line, strlen(line), step))
        size += l->last_size = strlen(line);
    return size;
}

int log_cut_after(struct log *l, uint64_t step, struct error *err)
{
    FILE *written = fopen(l->metrics_path, "re"),
         *pending = l->pending_size ? fmemopen(l->pending, l->pending_size, "r") : NULL;
    int status = !written || (l->pending_size && !pending);
    if (!status) {
        l->last_size = 0;
        l->end = size_up_to(l, written, step);
        l->pending_size = pending ? size_up_to(l, pending, step) : 0;
        status = ftruncate(l->fd, l->end);
    }
    if (status)
        fail(err, "%s: %s", l->metrics_path, strerror(errno));
    if (pending)
        fclose(pending);
    if (written)
        fclose(written);
    return status;
}

int log_open(struct log *l, const char *run_dir, uint64_t step, uint64_t steps, uint64_t every,
             struct error *err)
{
    *l = (struct log){.terminal = isatty(STDOUT_FILENO), .steps = steps, .every = every};
    run_path(l->metrics_path, run_dir, "metrics.jsonl");
    l->fd = open(l->metrics_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (step ? 0 : O_TRUNC),
                 0666);
    if (l->fd < 0)
        return fail(err, "%s: %s", l->metrics_path, strerror(errno));
    return step ? log_cut_after(l, step, err) : 0;
}

static int write_pending(struct log *l)
{
    if (append_whole(l->fd, &l->end, l->pending, l->pending_size))
        return -1;
    l->pending_size = 0;
    return 0;
}

/* Appends a line. What cannot be written remains pending: a full disk does not stop a run. */
static void append(struct log *l, const char *line, size_t size)
{
    char *grown = line ? realloc(l->pending, l->pending_size + size) : NULL;
    if (!grown) {
        log_warn(l, "%s: out of memory for a line of metrics", l->metrics_path);
        return;
    }
    l->pending = grown;
    memcpy(grown + l->pending_size, line, size);
    l->pending_size += size;
    l->last_size = size;
    const bool failed = write_pending(l) != 0;
    if (failed && !l->failing)
        log_warn(l, "%s: %s; new lines are kept in memory", l->metrics_path, strerror(errno));
    if (!failed && l->failing)
        log_note(l, "%s: can be written again", l->metrics_path);
    l->failing = failed;
}

static void put(FILE *f, const char *name, double x)
{
    fprintf(f, ", \"%s\": ", name);
    fprintf(f, isfinite(x) ? "%.9g" : "null", x);
}

static void write_metrics(struct log *l, const struct step_metrics *m)
{
    char *line = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&line, &size);
    if (f) {
        fprintf(f, "{\"step\": %" PRIu64 ", \"tokens\": %" PRIu64, m->step, m->tokens);
        put(f, "loss", m->loss);
        put(f, "lr", m->lr);
        put(f, "grad_norm", m->grad_norm);
        put(f, "tokens_per_s", m->tokens_per_s);
        put(f, "mfu", m->mfu);
        if (m->stall_s > 0)
            put(f, "stall_s", m->stall_s);
        if (m->skipped)
            fprintf(f, ", \"skipped\": \"%s\"", m->skipped);
        if (m->rolled_back_from)
            fprintf(f, ", \"rolled_back_from\": %" PRIu64 ", \"batches_skipped\": %" PRIu64,
                    m->rolled_back_from, m->batches_skipped);
        fputs("}\n", f);
    }
    const bool complete = f && !fclose(f); /* sets line and size */
    append(l, complete ? line : NULL, size);
    free(line);
}

/* Copies the last line without the "}" and newline at its end; "" if there is none. */
static void copy_last_line(const struct log *l, char text[LINE_LIMIT])
{
    const size_t n = l->last_size;
    const bool pending = l->pending_size >= n;
    *text = 0;
    if (n < 3 || n > LINE_LIMIT)
        return;
    if (pending)
        memcpy(text, l->pending + l->pending_size - n, n);
    const bool copied = pending || pread(l->fd, text, n, l->end - n) == (ssize_t)n;
    text[copied ? n - 2 : 0] = 0;
}

static void remove_last_line(struct log *l)
{
    if (l->pending_size >= l->last_size)
        l->pending_size -= l->last_size;
    else
        l->end -= l->last_size;
    l->last_size = 0;
}

void log_validation(struct log *l, uint64_t step, double val_loss, const char *remark)
{
    char line[LINE_LIMIT + 64], start[64];
    log_note(l, "step %" PRIu64 "  val_loss %.4f%s", step, isnan(val_loss) ? NAN : val_loss,
             remark);
    snprintf(start, sizeof start, "{\"step\": %" PRIu64 ",", step);
    copy_last_line(l, line);
    if (!strncmp(line, start, strlen(start)) && !strstr(line, "\"val_loss\""))
        remove_last_line(l);
    else
        snprintf(line, sizeof line, "{\"step\": %" PRIu64, step);
    text_append(line, sizeof line,
                isfinite(val_loss) ? ", \"val_loss\": %.9g}\n" : ", \"val_loss\": null}\n",
                val_loss);
    append(l, line, strlen(line));
}

/* --- on the terminal --- */

/* Formats seconds as 1:23:45 or 2:05. */
static void duration_text(char text[32], double s)
{
    const long t = s < 1e7 ? s + 0.5 : 0;
    if (t >= 3600)
        snprintf(text, 32, "%ld:%02ld:%02ld", t / 3600, t / 60 % 60, t % 60);
    else
        snprintf(text, 32, "%ld:%02ld", t / 60, t % 60);
}

static int terminal_width(void)
{
    struct winsize w;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? w.ws_col - 1 : 79;
}

static void clear_line(struct log *l)
{
    if (l->line_shown)
        printf("\r\033[K");
    l->line_shown = false;
}

/* Writes "0:12 left" by the steps after the first, "" before there are any. */
static void time_left(char text[48], struct log *l, uint64_t step)
{
    char left[32];
    *text = '\0';
    if (!l->first_step) {
        l->first_step = step;
        l->first_end = seconds();
    } else if (step > l->first_step) {
        duration_text(left,
                      (seconds() - l->first_end) / (step - l->first_step) * (l->steps - step));
        snprintf(text, 48, "  %s left", left);
    }
}

/* The progress line: as many of the less important numbers as fit into the width. */
static void progress_text(char *text, size_t size, struct log *l, const struct step_metrics *m,
                          int width)
{
    char parts[3][40], left[48], end[96];
    snprintf(parts[0], sizeof *parts, "  grad_norm %.3f", m->grad_norm);
    snprintf(parts[1], sizeof *parts, "  lr %.2e", m->lr);
    snprintf(parts[2], sizeof *parts, "  smoothed %.4f", m->smoothed_loss);
    time_left(left, l, m->step);
    snprintf(end, sizeof end, "  %.0f tokens/s%s", m->tokens_per_s, left);
    const int fixed = snprintf(text, size, "step %" PRIu64 "/%" PRIu64 "  loss %.4f", m->step,
                               l->steps, m->loss) +
                      (int)strlen(end);
    int first = 0, optional = strlen(parts[0]) + strlen(parts[1]) + strlen(parts[2]);
    while (first < 3 && fixed + optional > width)
        optional -= strlen(parts[first++]);
    for (int i = 2; i >= first; i--)
        text_append(text, size, "%s", parts[i]);
    text_append(text, size, "%s", end);
}

void log_step(struct log *l, const struct step_metrics *m)
{
    char text[256];
    const int width = l->terminal ? terminal_width() : 255;
    progress_text(text, sizeof text, l, m, width);
    if (l->terminal) {
        printf("\r\033[K%.*s", width, text);
        l->line_shown = true;
    } else if (m->step % l->every == 0 || m->step == 1 || m->step == l->steps)
        puts(text);
    fflush(stdout);
    write_metrics(l, m);
}

void log_note(struct log *l, const char *format, ...)
{
    va_list arguments;
    clear_line(l);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

void log_warn(struct log *l, const char *format, ...)
{
    struct error line;
    char text[sizeof line.text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fail(&line, "%s", text); /* replaces control characters */
    clear_line(l);
    fflush(stdout);
    fprintf(stderr, "handgrad: %s\n", line.text);
}

void log_end_line(struct log *l)
{
    if (l->line_shown)
        putchar('\n');
    l->line_shown = false;
    fflush(stdout);
}

void log_close(struct log *l)
{
    log_end_line(l);
    if (write_pending(l))
        log_warn(l, "%s: %s; the lines kept in memory are lost: the last %zu bytes",
                 l->metrics_path, strerror(errno), l->pending_size);
    if (l->fd > 0 && close(l->fd) && errno != EINTR)
        log_warn(l, "%s: %s", l->metrics_path, strerror(errno));
    free(l->pending);
    *l = (struct log){0};
}
