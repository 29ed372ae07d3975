/* log.c: see log.h. metrics.jsonl is written a whole line at a time and flushed, so that a reader never sees half an object. */
#include "log.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Leaves in the file the lines whose step is at most `step`, up to the first line that is not whole. */
static int cut_after(struct log *l, uint64_t step, struct error *err)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    off_t end = 0;
    while ((n = getline(&line, &size, l->metrics)) > 0 && line[n - 1] == '\n') {
        cJSON *object = cJSON_Parse(line);
        const cJSON *s = cJSON_GetObjectItem(object, "step");
        const bool keep = cJSON_IsNumber(s) && s->valuedouble <= (double)step;
        cJSON_Delete(object);
        if (!keep)
            break;
        end += n;
    }
    free(line);
    if (ftruncate(fileno(l->metrics), end) || fseeko(l->metrics, end, SEEK_SET))
        return fail(err, "%s: %s", l->metrics_path, strerror(errno));
    return 0;
}

int log_open(struct log *l, const char *run_dir, uint64_t step, uint64_t steps, uint64_t every, struct error *err)
{
    *l = (struct log){.live = isatty(STDOUT_FILENO), .steps = steps, .every = every, .first_step = step, .started = seconds()};
    snprintf(l->metrics_path, sizeof l->metrics_path, "%s/metrics.jsonl", run_dir);
    l->metrics = fopen(l->metrics_path, step ? "r+" : "w");
    if (!l->metrics && step && errno == ENOENT)
        l->metrics = fopen(l->metrics_path, "w");
    if (!l->metrics)
        return fail(err, "%s: %s", l->metrics_path, strerror(errno));
    return step ? cut_after(l, step, err) : 0;
}

/* A number as JSON has it: null where it is none. */
static void put(FILE *f, const char *name, double x)
{
    if (isfinite(x))
        fprintf(f, ", \"%s\": %.9g", name, x);
    else
        fprintf(f, ", \"%s\": null", name);
}

static int flush(struct log *l, struct error *err)
{
    if (fflush(l->metrics) || ferror(l->metrics))
        return fail(err, "%s: %s", l->metrics_path, strerror(errno));
    return 0;
}

static int write_metrics(struct log *l, const struct step_metrics *m, struct error *err)
{
    fprintf(l->metrics, "{\"step\": %llu, \"tokens\": %llu", (unsigned long long)m->step, (unsigned long long)m->tokens);
    put(l->metrics, "loss", m->loss);
    put(l->metrics, "lr", m->lr);
    put(l->metrics, "grad_norm", m->grad_norm);
    put(l->metrics, "tokens_per_s", m->tokens_per_s);
    put(l->metrics, "mfu", m->mfu);
    if (!isnan(m->val_loss))
        put(l->metrics, "val_loss", m->val_loss);
    fputs("}\n", l->metrics);
    return flush(l, err);
}

int log_validation(struct log *l, uint64_t step, double val_loss, struct error *err)
{
    fprintf(l->metrics, "{\"step\": %llu", (unsigned long long)step);
    put(l->metrics, "val_loss", val_loss);
    fputs("}\n", l->metrics);
    return flush(l, err);
}

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
    clock_text(left, sizeof left, (seconds() - l->started) / (double)done * (double)(l->steps - m->step));
    snprintf(text, size, "step %llu/%llu  loss %.4f  smoothed %.4f  lr %.2e  grad_norm %.3f  %.0f tokens/s  %s left",
             (unsigned long long)m->step, (unsigned long long)l->steps, m->loss, m->smoothed_loss, m->lr, m->grad_norm,
             m->tokens_per_s, left);
}

static int terminal_width(void)
{
    struct winsize w;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? w.ws_col - 1 : 79;
}

int log_step(struct log *l, const struct step_metrics *m, struct error *err)
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
    if (!isnan(m->val_loss))
        log_note(l, "step %llu  val_loss %.4f", (unsigned long long)m->step, m->val_loss);
    return write_metrics(l, m, err);
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
    if (l->metrics)
        fclose(l->metrics);
    l->metrics = NULL;
}
