/* history.c: see history.h. */
#include "train/report/history.h"
#include "base/input_file.h"
#include "optim/clip.h"
#include <errno.h>
#include <ini.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum {
    STEP_BUCKETS = 8192,
    EVALUATION_BUCKETS = 2048,
    TENSOR_BUCKETS = 256,
    SAMPLES_KEPT = 512,
    STARTS_KEPT = 64,
    TENSORS_MAX = 4096, /* more than any model that this program trains on one machine */
    NAME_MAX_BYTES = 48,
    CONFIG_MAX = 1 << 20
};

const char *const history_columns[STEP_COLUMNS] = {
    "loss", "lr", "grad_norm", "tokens_per_s", "mfu", "tokens", "clipped", "skipped", "seconds"};

/* --- objects --- */

static void list_clear(struct object_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        cJSON_Delete(l->list[i]);
    l->count = l->seen = 0;
    l->stride = 1;
}

static int list_create(struct object_list *l, size_t capacity)
{
    *l = (struct object_list){
        .list = malloc(capacity * sizeof *l->list), .capacity = capacity, .stride = 1};
    return l->list ? 0 : -1;
}

/* The newest always stays: the one that was newest before goes, unless its turn kept it. */
static void list_add(struct object_list *l, cJSON *object)
{
    if (l->count && l->seen && (l->seen - 1) % l->stride)
        cJSON_Delete(l->list[--l->count]);
    if (l->count == l->capacity) {
        for (size_t i = 0; i < l->count; i++)
            if (i % 2)
                cJSON_Delete(l->list[i]);
            else
                l->list[i / 2] = l->list[i];
        l->count = (l->count + 1) / 2;
        l->stride *= 2;
    }
    l->list[l->count++] = object;
    l->seen++;
}

/* --- lines --- */

static const double LARGEST = 1e100; /* what is beyond has no place in a chart */

static double number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) && fabs(item->valuedouble) <= LARGEST ? item->valuedouble : NAN;
}

/* The charts want steps in order. */
static bool goes_on(const struct curves *c, double step)
{
    return !c->count || step >= c->x[c->count - 1];
}

/* The line as an object with a step, or NULL, counted. */
static cJSON *parse(struct history *h, const char *line, size_t n)
{
    cJSON *object = cJSON_ParseWithLength(line, n);
    h->lines++;
    if (object && isfinite(number(object, "step")))
        return object;
    h->bad_lines++;
    cJSON_Delete(object);
    return NULL;
}

static void add_step(struct history *h, const cJSON *object, double step)
{
    double row[STEP_COLUMNS];
    for (int k = 0; k < CLIPPED; k++)
        row[k] = number(object, history_columns[k]);
    row[CLIPPED] =
        isnan(h->clip) || isnan(row[GRAD_NORM]) ? NAN : clip_factor(row[GRAD_NORM], h->clip) < 1;
    row[SKIPPED] = cJSON_HasObjectItem(object, "skipped"); /* it changed no weights */
    if (row[TOKENS] < h->last[TOKENS])
        row[TOKENS] = h->last[TOKENS]; /* they only grow */
    const double before = isnan(h->last[TOKENS]) ? 0 : h->last[TOKENS],
                 spent = (row[TOKENS] - before) / row[TOKENS_PER_S];
    row[SECONDS] = (isnan(h->last[SECONDS]) ? 0 : h->last[SECONDS]) +
                   (spent > 0 && isfinite(spent) ? spent : 0);
    curves_add(&h->steps, step, row);
    memcpy(h->last, row, sizeof row);
    h->last_step = step;
}

static void read_metrics(void *context, char *line, size_t n)
{
    struct history *h = context;
    cJSON *object = parse(h, line, n);
    if (!object)
        return;
    const double step = number(object, "step"), val_loss = number(object, "val_loss");
    if (isfinite(val_loss) && goes_on(&h->evaluations, step)) {
        curves_add(&h->evaluations, step, &val_loss);
        if (!(h->best_val_loss <= val_loss)) {
            h->best_val_loss = val_loss;
            h->best_step = step;
        }
    }
    if (step <= h->last_step && cJSON_HasObjectItem(object, "loss"))
        h->bad_lines++;
    else if (cJSON_HasObjectItem(
                 object, "loss")) /* a line with val_loss alone belongs to an earlier step */
        add_step(h, object, step);
    cJSON_Delete(object);
}

/* The first line names the tensors. */
static int name_tensors(struct history *h, const cJSON *tensors)
{
    const cJSON *t;
    const size_t n = (size_t)cJSON_GetArraySize(tensors);
    h->tensor_names = n && n <= TENSORS_MAX ? calloc(n, sizeof *h->tensor_names) : NULL;
    if (!h->tensor_names || curves_create(&h->tensors, 3 * n, TENSOR_BUCKETS))
        return -1;
    cJSON_ArrayForEach(t, tensors) if (!(h->tensor_names[h->n_tensors++] =
                                             strndup(t->string, NAME_MAX_BYTES))) return -1;
    return 0;
}

static void forget_tensors(struct history *h)
{
    for (size_t i = 0; i < h->n_tensors; i++)
        free(h->tensor_names[i]);
    free(h->tensor_names);
    h->tensor_names = NULL;
    h->n_tensors = 0;
    curves_destroy(&h->tensors);
}

static void read_tensors(void *context, char *line, size_t n)
{
    struct history *h = context;
    cJSON *object = parse(h, line, n);
    const cJSON *tensors = cJSON_GetObjectItemCaseSensitive(object, "tensors"), *t;
    if (object && cJSON_IsObject(tensors) && !h->n_tensors && name_tensors(h, tensors))
        forget_tensors(h);
    double *row = h->n_tensors ? malloc(3 * h->n_tensors * sizeof *row) : NULL;
    if (object &&
        (!row || !cJSON_IsObject(tensors) || !goes_on(&h->tensors, number(object, "step"))))
        h->bad_lines++;
    else if (object) {
        size_t i = 0;
        for (size_t k = 0; k < 3 * h->n_tensors; k++)
            row[k] = NAN;
        cJSON_ArrayForEach(t, tensors) /* in the order of the first line */
        {
            if (i == h->n_tensors || strncmp(t->string, h->tensor_names[i], NAME_MAX_BYTES))
                break;
            row[3 * i] = number(t, "weight");
            row[3 * i + 1] = number(t, "grad");
            row[3 * i + 2] = number(t, "update");
            i++;
        }
        curves_add(&h->tensors, number(object, "step"), row);
    }
    free(row);
    cJSON_Delete(object);
}

static void read_sample(void *context, char *line, size_t n)
{
    struct history *h = context;
    cJSON *object = parse(h, line, n);
    if (object && cJSON_IsString(cJSON_GetObjectItemCaseSensitive(object, "text")))
        list_add(&h->samples, object);
    else if (object) {
        h->bad_lines++;
        cJSON_Delete(object);
    }
}

static void read_start(void *context, char *line, size_t n)
{
    struct history *h = context;
    cJSON *object = parse(h, line, n);
    if (object)
        list_add(&h->starts, object);
}

/* --- what begins again --- */

/* The lowest bits tell how often a table was halved; the time makes two readers of one file, one after the other, differ. */
static void new_epoch(uint64_t *epoch)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    const uint64_t now = ((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000) << 6;
    *epoch = now > *epoch ? now : *epoch + 64;
}

static void restart_metrics(void *context)
{
    struct history *h = context;
    curves_clear(&h->steps);
    curves_clear(&h->evaluations);
    for (int k = 0; k < STEP_COLUMNS; k++)
        h->last[k] = NAN;
    h->last_step = h->best_val_loss = h->best_step = NAN;
    new_epoch(&h->epochs[0]);
}

static void restart_tensors(void *context)
{
    struct history *h = context;
    forget_tensors(h);
    new_epoch(&h->epochs[1]);
}

static void restart_samples(void *context)
{
    struct history *h = context;
    list_clear(&h->samples);
    new_epoch(&h->epochs[2]);
}

static void restart_starts(void *context)
{
    list_clear(&((struct history *)context)->starts);
}

/* --- the configuration --- */

static int add_key(void *context, const char *section, const char *name, const char *value)
{
    cJSON *config = context, *object = cJSON_GetObjectItemCaseSensitive(config, section);
    if (!object)
        object = cJSON_AddObjectToObject(config, section);
    cJSON_AddStringToObject(object, name, value);
    return 1;
}

static double config_number(const cJSON *config, const char *section, const char *name)
{
    const cJSON *value =
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(config, section), name);
    char *end;
    const double x = cJSON_IsString(value) ? strtod(value->valuestring, &end) : NAN;
    return cJSON_IsString(value) && end != value->valuestring && !*end ? x : NAN;
}

/* Small, and replaced as a whole when a run is resumed: read anew each time. */
static void read_config(struct history *h)
{
    char *path;
    cJSON *config = cJSON_CreateObject();
    struct error ignored;
    char *text = asprintf(&path, "%s/config.ini", h->dir) < 0
                     ? (path = NULL)
                     : input_file_text(path, CONFIG_MAX, &ignored);
    if (text && config && ini_parse_string(text, add_key, config) >= 0) {
        cJSON_Delete(h->config);
        h->config = config;
        config = NULL;
        h->steps_planned = config_number(h->config, "train", "steps");
        h->clip = config_number(h->config, "optim", "clip");
    }
    cJSON_Delete(config);
    free(text);
    free(path);
}

/* --- open, refresh, close --- */

int history_open(struct history *h, const char *dir, struct error *err)
{
    struct stat st;
    *h = (struct history){.steps_planned = NAN, .clip = NAN};
    if (stat(dir, &st))
        return fail(err, "%s: %s", dir, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return fail(err, "%s: expected a run folder", dir);
    if (!(h->dir = strdup(dir)) || tail_open(&h->metrics_file, dir, "metrics.jsonl") ||
        tail_open(&h->tensors_file, dir, "tensors.jsonl") ||
        tail_open(&h->samples_file, dir, "samples.jsonl") ||
        tail_open(&h->starts_file, dir, "starts.jsonl") ||
        curves_create(&h->steps, STEP_COLUMNS, STEP_BUCKETS) ||
        curves_create(&h->evaluations, 1, EVALUATION_BUCKETS) ||
        list_create(&h->samples, SAMPLES_KEPT) || list_create(&h->starts, STARTS_KEPT)) {
        history_close(h);
        return fail(err, "%s: no memory to read it", dir);
    }
    restart_metrics(h);
    restart_tensors(h);
    restart_samples(h);
    return 0;
}

void history_close(struct history *h)
{
    tail_close(&h->metrics_file);
    tail_close(&h->tensors_file);
    tail_close(&h->samples_file);
    tail_close(&h->starts_file);
    forget_tensors(h);
    curves_destroy(&h->steps);
    curves_destroy(&h->evaluations);
    list_clear(&h->samples);
    list_clear(&h->starts);
    free(h->samples.list);
    free(h->starts.list);
    cJSON_Delete(h->config);
    free(h->dir);
    *h = (struct history){0};
}

int history_refresh(struct history *h, struct error *err)
{
    read_config(h);
    return tail_read(&h->metrics_file, read_metrics, restart_metrics, h, err) ||
                   tail_read(&h->tensors_file, read_tensors, restart_tensors, h, err) ||
                   tail_read(&h->samples_file, read_sample, restart_samples, h, err) ||
                   tail_read(&h->starts_file, read_start, restart_starts, h, err)
               ? -1
               : 0;
}

int history_read(struct history *h, const char *dir, struct error *err)
{
    if (history_open(h, dir, err) || history_refresh(h, err))
        return -1;
    return h->config || h->steps.count
               ? 0
               : fail(err, "%s: holds no run: neither config.ini nor metrics.jsonl", dir);
}
