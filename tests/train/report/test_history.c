/* test_history.c: the history of a run: buckets keep the extremes of their rows, files are followed
 * while they grow and are truncated, invalid lines are skipped; and the JSON-lines files that a run
 * appends to. */
#include "base/jsonl.h"
#include "tests/test.h"
#include "train/report/curves.h"
#include "train/report/history.h"
#include "train/report/page.h"
#include "train/report/plot.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/handgrad-history-XXXXXX";

static void make_folder(void)
{
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void put(const char *name, const char *mode, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, mode);
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void remove_folder(void)
{
    char command[256];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    ck_assert_int_eq(system(command), 0);
}

static struct history open_history(void)
{
    struct history h;
    struct error err;
    ck_assert_int_eq(history_open(&h, dir, &err), 0);
    return h;
}

static void refresh(struct history *h)
{
    struct error err;
    ck_assert_msg(history_refresh(h, &err) == 0, "%s", err.text);
}

static void put_steps(int first, int last, double offset)
{
    char text[128];
    for (int i = first; i <= last; i++) {
        snprintf(text, sizeof text,
                 "{\"step\": %d, \"tokens\": %d, \"loss\": %.17g, \"grad_norm\": %d, "
                 "\"tokens_per_s\": 10}\n",
                 i, 10 * i, offset + i, i);
        put("metrics.jsonl", "a", text);
    }
}

/* For every length up to several halvings, the buckets cover all rows in order, with their minimum,
 * maximum and mean. */
START_TEST(buckets_keep_extremes)
{
    enum { CAPACITY = 8 };
    for (int n = 0; n < 300; n++) {
        struct curves c;
        double values[300], low = INFINITY, high = -INFINITY, sum = 0;
        ck_assert_int_eq(curves_create(&c, 2, CAPACITY), 0);
        for (int i = 0; i < n; i++) {
            values[i] = i % 7 == 3 ? NAN : sin(i * 12.9898) * 43758.5453 - i;
            curves_add(&c, i + 1, (double[]){values[i], i});
            ck_assert_uint_le(c.count, CAPACITY);
        }
        ck_assert_uint_eq(c.rows, (unsigned)n);
        ck_assert(n < CAPACITY || c.count >= CAPACITY / 2);
        uint64_t counted = 0;
        for (size_t b = 0; b < c.count; b++) {
            const size_t begin = b * c.width,
                         end = begin + c.width < (size_t)n ? begin + c.width : (size_t)n;
            const struct curve_cell *cell = &c.cells[2 * b];
            ck_assert_double_eq(c.x[b], (double)begin + 1);
            low = INFINITY, high = -INFINITY, sum = 0;
            for (size_t i = begin; i < end; i++) {
                low = fmin(low, values[i]);
                high = fmax(high, values[i]);
                sum += isnan(values[i]) ? 0 : values[i];
                counted += !isnan(values[i]);
            }
            if (cell->n > 0) {
                ck_assert_double_eq(cell->low, low);
                ck_assert_double_eq(cell->high, high);
                ck_assert_double_le(fabs(cell->mean * cell->n - sum), 1e-9 * (fabs(sum) + 1e5));
            } else
                ck_assert(isinf(low) && isnan(cell->mean));
            ck_assert_double_eq(cell[1].first, (double)begin);
            counted -= (uint64_t)cell->n;
        }
        ck_assert_uint_eq(counted, 0);
        curves_destroy(&c);
    }
}
END_TEST

/* A line is read once, when it is complete; a file that was truncated and has grown again is read
 * anew. */
START_TEST(follows_a_growing_file)
{
    make_folder();
    struct history h = open_history();
    refresh(&h); /* no files yet */
    ck_assert_uint_eq(h.steps.rows, 0);
    put("metrics.jsonl", "w", "{\"step\": 1, \"loss\": 4}\n{\"step\": 2, \"lo");
    refresh(&h);
    ck_assert_uint_eq(h.steps.rows, 1);
    put("metrics.jsonl", "a", "ss\": 3}\n");
    refresh(&h);
    refresh(&h);
    ck_assert_uint_eq(h.steps.rows, 2);
    ck_assert_double_eq(h.last[LOSS], 3);
    const uint64_t epoch = h.epoch;
    put("metrics.jsonl", "w",
        "{\"step\": 1, \"loss\": 4}\n{\"step\": 2, \"loss\": 5}\n{\"step\": 3, \"loss\": 6}\n");
    refresh(&h);
    ck_assert_uint_eq(h.steps.rows, 3);
    ck_assert_double_eq(h.last[LOSS], 6);
    ck_assert_uint_ne(h.epoch, epoch);
    put("metrics.jsonl", "w", "");
    refresh(&h);
    ck_assert_uint_eq(h.steps.rows, 0);
    ck_assert(isnan(h.last_step));
    history_close(&h);
    remove_folder();
}
END_TEST

START_TEST(skips_invalid_lines)
{
    make_folder();
    put("config.ini", "w", "[train]\nsteps = 9\n[optim]\nclip = 2\n");
    put("metrics.jsonl", "w",
        "no json\n[1]\n{\"step\": \"x\"}\n{\"loss\": 1}\n\n{\"step\": 1, \"loss\": "
        "null}\n{\"step\": 2, \"loss\": 1, "
        "\"grad_norm\": 3, \"skipped\": \"spike\"}\n");
    put("metrics.jsonl", "a",
        "{\"step\": 1e999, \"loss\": 1}\n\xff\xfe{\n{\"step\": 3, \"val_loss\": 1.5}\n{\"step\": "
        "4, \"val_loss\": "
        "-1e999}\n{\"step\": 1, \"loss\": 7, \"val_loss\": 1}\n");
    put("tensors.jsonl", "w",
        "{\"step\": 1, \"tensors\": 3}\n{\"step\": 1, \"tensors\": {\"a\": {\"weight\": 1}, \"b\": "
        "7}}\n{\"step\": 2, "
        "\"tensors\": {\"b\": {}}}\n");
    put("samples.jsonl", "w", "{\"step\": 1, \"text\": 5}\n{\"step\": 1, \"text\": \"x\"}\n");
    struct history h = open_history();
    refresh(&h);
    ck_assert_uint_eq(h.steps.rows, 2);
    ck_assert_uint_eq(h.evaluations.rows, 1);
    ck_assert_int_eq(cJSON_GetArraySize(h.tensor_names), 2);
    ck_assert_uint_eq(h.tensors.rows, 2);
    ck_assert_int_eq(cJSON_GetArraySize(h.samples.array), 1);
    ck_assert_uint_ge(h.bad_lines, 9);
    ck_assert_double_eq(h.last[CLIPPED], 1);
    ck_assert_double_eq(h.last[SKIPPED], 1);
    ck_assert_double_eq(h.best_val_loss, 1.5);
    history_close(&h);
    remove_folder();
}
END_TEST

/* The validation loss of a step is added to its line, which a reader may have seen without it. */
START_TEST(reads_a_line_that_has_grown)
{
    make_folder();
    struct history h = open_history();
    put("metrics.jsonl", "w", "{\"step\": 1, \"loss\": 4}\n{\"step\": 2, \"loss\": 3}\n");
    refresh(&h);
    put("metrics.jsonl", "w",
        "{\"step\": 1, \"loss\": 4}\n{\"step\": 2, \"loss\": 3, \"val_loss\": 3.5}\n");
    refresh(&h);
    ck_assert_uint_eq(h.steps.rows, 2);
    ck_assert_uint_eq(h.evaluations.rows, 1);
    ck_assert_uint_eq(h.bad_lines, 0);
    ck_assert_double_eq(h.best_val_loss, 3.5);
    history_close(&h);
    remove_folder();
}
END_TEST

/* Only regular files are read: a pipe would block, and a link may lead out of the folder. */
START_TEST(reads_no_pipes_and_follows_no_links)
{
    char path[256], outside[256];
    make_folder();
    snprintf(path, sizeof path, "%s/config.ini", dir);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    put("outside", "w", "{\"step\": 1, \"text\": \"secret\"}\n");
    snprintf(outside, sizeof outside, "%s/outside", dir);
    snprintf(path, sizeof path, "%s/samples.jsonl", dir);
    ck_assert_int_eq(symlink(outside, path), 0);
    struct history h = open_history();
    struct error err;
    ck_assert_int_ne(history_refresh(&h, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "samples.jsonl"));
    ck_assert_int_eq(cJSON_GetArraySize(h.samples.array), 0);
    ck_assert_ptr_null(h.config);
    history_close(&h);
    remove_folder();
}
END_TEST

/* A line that is too long is skipped, the next one is read. */
START_TEST(skips_a_line_too_long)
{
    make_folder();
    put("metrics.jsonl", "w", "{\"step\": 1, \"loss\": 4}\n");
    char *text = malloc(TAIL_LINE_MAX * 2 + 2);
    memset(text, 'x', TAIL_LINE_MAX * 2 + 1);
    text[TAIL_LINE_MAX * 2 + 1] = 0;
    put("metrics.jsonl", "a", text);
    free(text);
    put("metrics.jsonl", "a", "\n{\"step\": 2, \"loss\": 5}\n");
    struct history h = open_history();
    refresh(&h);
    ck_assert_uint_eq(h.steps.rows, 2);
    ck_assert_double_eq(h.last[LOSS], 5);
    history_close(&h);
    remove_folder();
}
END_TEST

/* A reader that replaces its rows from `from` on has the whole table. The JSON is valid at every
 * length. */
START_TEST(sends_new_rows)
{
    make_folder();
    struct history h = open_history();
    double x[20000];
    size_t count = 0, full = 0;
    uint64_t epoch = 0;
    for (int i = 0; i < 40; i++) {
        put_steps(i * 300 + 1, (i + 1) * 300, 0);
        refresh(&h);
        const struct history_seen seen = {epoch, {count}};
        char *text = history_json(&h, &seen);
        cJSON *object = cJSON_Parse(text);
        ck_assert_ptr_nonnull(object);
        const cJSON *steps = cJSON_GetObjectItem(object, "steps"), *item;
        const size_t from = (size_t)cJSON_GetObjectItem(steps, "from")->valuedouble;
        full += from == 0;
        ck_assert_uint_le(from, count);
        count = from;
        cJSON_ArrayForEach(item, cJSON_GetObjectItem(steps, "x")) x[count++] = item->valuedouble;
        epoch = (uint64_t)cJSON_GetObjectItem(object, "epoch")->valuedouble;
        ck_assert_uint_eq(count, h.steps.count);
        for (size_t k = 0; k < count; k++)
            ck_assert_double_eq(x[k], h.steps.x[k]);
        cJSON_Delete(object);
        free(text);
    }
    ck_assert_uint_eq(full, 2); /* initially, and after the table was halved */
    history_close(&h);
    remove_folder();
}
END_TEST

static double sample_step(const struct history *h, int i)
{
    return cJSON_GetObjectItem(cJSON_GetArrayItem(h->samples.array, i), "step")->valuedouble;
}

/* Of many objects every 2^k-th is kept, and the newest. */
START_TEST(thins_samples_and_keeps_the_newest)
{
    make_folder();
    struct history h = open_history();
    char line[64];
    for (int i = 1; i <= 1500; i++) {
        snprintf(line, sizeof line, "{\"step\": %d, \"text\": \"s%d\"}\n", i, i);
        put("samples.jsonl", "a", line);
    }
    refresh(&h);
    const int n = cJSON_GetArraySize(h.samples.array);
    ck_assert_int_le(n, 512);
    ck_assert_int_ge(n, 256);
    ck_assert_double_eq(sample_step(&h, 0), 1);
    ck_assert_double_eq(sample_step(&h, n - 1), 1500);
    for (int i = 2; i + 1 < n; i++)
        ck_assert_double_eq(sample_step(&h, i) - sample_step(&h, i - 1), (double)h.samples.stride);
    history_close(&h);
    remove_folder();
}
END_TEST

/* No text of a run can end the HTML element that holds the data. */
START_TEST(embeds_hostile_text)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    page_embed_json(out, "{\"a\":\"</script><!-- <script>&\"}");
    fclose(out);
    ck_assert_ptr_null(strpbrk(text, "<>&"));
    cJSON *object = cJSON_Parse(text);
    ck_assert_str_eq(cJSON_GetObjectItem(object, "a")->valuestring, "</script><!-- <script>&");
    cJSON_Delete(object);
    free(text);

    make_folder();
    put("samples.jsonl", "w", "{\"step\": 1, \"text\": \"</script><script>alert(1)</script>\"}\n");
    put("config.ini", "w", "[data]\ndir = </script><img src=x onerror=alert(2)>\n");
    struct history h = open_history();
    refresh(&h);
    text = page_html(&h, 1, false, NULL);
    ck_assert_ptr_nonnull(text);
    ck_assert_ptr_null(strstr(text, "alert(1)</script"));
    ck_assert_ptr_null(strstr(text, "<img src=x"));
    ck_assert_ptr_null(strstr(text, "{{data}}"));
    ck_assert_ptr_nonnull(strstr(text, "\\u003c/script\\u003e"));
    free(text);
    history_close(&h);
    remove_folder();
}
END_TEST

static char *plot_of(const struct history *h)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    plot_losses(out, h, &(struct terminal){TERMINAL_256, 40});
    fclose(out);
    return text;
}

/* Validation losses before, after and without training losses; steps and losses that floating-point
 * numbers cannot distinguish. With `make asan` this checks that nothing is drawn outside the plot.
 */
START_TEST(plots_unusual_files)
{
    static const char *const FILES[] = {
        "{\"step\": 1, \"loss\": 2}\n{\"step\": 8585, \"val_loss\": 3}\n",
        "{\"step\": 3, \"val_loss\": 3}\n{\"step\": 4, \"loss\": 2}\n{\"step\": 5, \"loss\": 1}\n",
        "{\"step\": 3, \"val_loss\": 3}\n{\"step\": 400, \"val_loss\": 2}\n",
        "{\"step\": 1e90, \"loss\": 1e90}\n{\"step\": 1e99, \"val_loss\": 1e90}\n",
        "{\"step\": -1e99, \"loss\": -1e99}\n{\"step\": 1e99, \"loss\": 1e99}\n",
    };
    make_folder();
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        put("metrics.jsonl", "w", FILES[i]);
        struct history h = open_history();
        refresh(&h);
        char *text = plot_of(&h);
        if (strstr(FILES[i], "val_loss"))
            ck_assert_ptr_nonnull(strstr(text, "●"));
        free(text);
        history_close(&h);
    }
    remove_folder();
}
END_TEST

/* Opening a file at a step removes later lines and an incomplete one, before more are appended. */
START_TEST(jsonl_continues_after_a_step)
{
    make_folder();
    struct jsonl j;
    struct error err;
    put("t.jsonl", "w", "{\"step\":2}\n{\"step\":4}\n{\"step\":6}\n{\"step\":8");
    ck_assert_int_eq(jsonl_open(&j, dir, "t.jsonl", 4, &err), 0);
    ck_assert_uint_eq(j.last, 4);
    jsonl_append(&j, 5, "{\"step\":5}\n", 11);
    ck_assert_int_eq(jsonl_cut_after(&j, 4, &err), 0);
    jsonl_append(&j, 7, "{\"step\":7}\n", 11);
    jsonl_close(&j);
    char path[256], text[128] = "";
    snprintf(path, sizeof path, "%s/t.jsonl", dir);
    FILE *f = fopen(path, "r");
    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, f), 0);
    fclose(f);
    ck_assert_str_eq(text, "{\"step\":2}\n{\"step\":4}\n{\"step\":7}\n");
    ck_assert_int_eq(jsonl_open(&j, dir, "t.jsonl", 0, &err), 0);
    ck_assert_int_eq((int)j.end, 0);
    jsonl_close(&j);
    remove_folder();
}
END_TEST

SUITE("train/report/history", buckets_keep_extremes, follows_a_growing_file, skips_invalid_lines,
      reads_a_line_that_has_grown, reads_no_pipes_and_follows_no_links, skips_a_line_too_long,
      sends_new_rows, thins_samples_and_keeps_the_newest, embeds_hostile_text, plots_unusual_files,
      jsonl_continues_after_a_step)
