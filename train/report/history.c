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
    OBJECTS_KEPT = 512,
    TENSORS_MAX = 4096, /* more than any model has */
    CONFIG_MAX = 1 << 20
};

const char *const history_columns[STEP_COLUMNS] = {
    "loss", "lr", "grad_norm", "tokens_per_s", "mfu", "tokens", "clipped", "skipped", "seconds"};
const char *const history_tables[HISTORY_TABLES] = {"steps", "evaluations", "tensors", "samples"};

static void list_clear(struct object_list *l)
{
    cJSON_Delete(l->array);
    *l = (struct object_list){.array = cJSON_CreateArray(), .stride = 1};
}

/* Keeps the newest object in any case, and removes the previous one unless it is a stride-th. */
static void list_add(struct object_list *l, cJSON *object)
{
    int n = cJSON_GetArraySize(l->array);
    if (n && (l->seen - 1) % l->stride)
        cJSON_DeleteItemFromArray(l->array, --n);
    if (n == OBJECTS_KEPT) {
        for (int i = (n - 1) | 1; i > 0; i -= 2)
            cJSON_DeleteItemFromArray(l->array, i);
        l->stride *= 2;
    }
    cJSON_AddItemToArray(l->array, object);
    l->seen++;
}

/* --- lines --- */

static const double LARGEST = 1e100; /* that a chart shows */

static double number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) && fabs(item->valuedouble) <= LARGEST ? item->valuedouble : NAN;
}

/* Whether a step can be added: charts need ascending steps. */
static bool ascends(const struct curves *c, double step)
{
    return !c->count || step >= c->x[c->count - 1];
}

static void add_step(struct history *h, const cJSON *object, double step)
{
    double row[STEP_COLUMNS];
    for (int k = 0; k < CLIPPED; k++)
        row[k] = number(object, history_columns[k]);
    row[CLIPPED] =
        isnan(h->clip) || isnan(row[GRAD_NORM]) ? NAN : clip_factor(row[GRAD_NORM], h->clip) < 1;
    row[SKIPPED] = cJSON_HasObjectItem(object, "skipped"); /* the step changed no weights */
    row[TOKENS] = fmax(row[TOKENS], h->last[TOKENS]);
    const double spent = (row[TOKENS] - fmax(h->last[TOKENS], 0)) / row[TOKENS_PER_S];
    row[SECONDS] = fmax(h->last[SECONDS], 0) + (spent > 0 && isfinite(spent) ? spent : 0);
    curves_add(&h->steps, step, row);
    memcpy(h->last, row, sizeof row);
    h->last_step = step;
}

/* --- the lines of each file: false if one is not as expected --- */

static bool add_metrics(struct history *h, cJSON **object, double step)
{
    const double val_loss = number(*object, "val_loss");
    if (isfinite(val_loss) && ascends(&h->evaluations, step)) {
        curves_add(&h->evaluations, step, &val_loss);
        if (!(h->best_val_loss <= val_loss)) {
            h->best_val_loss = val_loss;
            h->best_step = step;
        }
    }
    if (!cJSON_HasObjectItem(*object, "loss"))
        return true; /* a val_loss that belongs to an earlier step */
    if (step <= h->last_step)
        return false;
    add_step(h, *object, step);
    return true;
}

static void drop_tensors(struct history *h)
{
    cJSON_Delete(h->tensor_names);
    h->tensor_names = NULL;
    curves_destroy(&h->tensors);
}

/* The first line determines the tensors and their order. */
static void set_tensors(struct history *h, const cJSON *tensors)
{
    const size_t n = (size_t)cJSON_GetArraySize(tensors);
    if (n && n <= TENSORS_MAX && curves_create(&h->tensors, 3 * n, TENSOR_BUCKETS) == 0)
        h->tensor_names = cJSON_Duplicate(tensors, true);
    if (!h->tensor_names)
        drop_tensors(h);
}

static bool add_tensors(struct history *h, cJSON **object, double step)
{
    const cJSON *tensors = cJSON_GetObjectItemCaseSensitive(*object, "tensors"), *t, *name;
    if (!cJSON_IsObject(tensors))
        return false;
    if (!h->tensor_names)
        set_tensors(h, tensors);
    double *row = h->tensor_names && ascends(&h->tensors, step)
                      ? malloc(h->tensors.columns * sizeof *row)
                      : NULL;
    if (!row)
        return false;
    for (size_t k = 0; k < h->tensors.columns; k++)
        row[k] = NAN;
    t = tensors->child;
    name = h->tensor_names->child;
    for (double *x = row; t && name && !strcmp(t->string, name->string); x += 3) {
        x[0] = number(t, "weight");
        x[1] = number(t, "grad");
        x[2] = number(t, "update");
        t = t->next;
        name = name->next;
    }
    curves_add(&h->tensors, step, row);
    free(row);
    return true;
}

static bool add_start(struct history *h, cJSON **object, double step)
{
    (void)step;
    list_add(&h->starts, *object);
    *object = NULL;
    return true;
}

static bool add_sample(struct history *h, cJSON **object, double step)
{
    (void)step;
    if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(*object, "text")))
        return false;
    list_add(&h->samples, *object);
    *object = NULL;
    return true;
}

/* --- files that are read anew --- */

static void restart_metrics(struct history *h)
{
    curves_clear(&h->steps);
    curves_clear(&h->evaluations);
    for (int k = 0; k < STEP_COLUMNS; k++)
        h->last[k] = NAN;
    h->last_step = h->best_val_loss = h->best_step = NAN;
}

static void restart_samples(struct history *h)
{
    list_clear(&h->samples);
}

static void restart_starts(struct history *h)
{
    list_clear(&h->starts);
}

static const struct source {
    const char *name;
    bool (*add)(struct history *h, cJSON **object, double step); /* may take the object */
    void (*restart)(struct history *h);                          /* the file was replaced */
} sources[HISTORY_FILES] = {{"metrics.jsonl", add_metrics, restart_metrics},
                            {"tensors.jsonl", add_tensors, drop_tensors},
                            {"samples.jsonl", add_sample, restart_samples},
                            {"starts.jsonl", add_start, restart_starts}};

struct reader {
    struct history *h;
    const struct source *source;
};

static void read_line(void *context, char *line, size_t n)
{
    const struct reader *r = context;
    cJSON *object = cJSON_ParseWithLength(line, n);
    const double step = number(object, "step");
    if (!isfinite(step) || !r->source->add(r->h, &object, step))
        r->h->bad_lines++;
    cJSON_Delete(object);
}

/* The lowest bits of an epoch count how often tables were halved (history_json.c). The time makes
 * the epochs of two servers of one run differ. */
static void restart(void *context)
{
    const struct reader *r = context;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    const uint64_t now = ((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000) << 7;
    r->h->epoch = now > r->h->epoch ? now : r->h->epoch + 128;
    r->source->restart(r->h);
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

/* Rereads all of config.ini each time: it is small, and is replaced when a run resumes. */
static void read_config(struct history *h)
{
    char *path;
    cJSON *config = cJSON_CreateObject();
    struct error ignored;
    char *text = asprintf(&path, "%s/config.ini", h->dir) < 0
                     ? (path = NULL)
                     : input_file_text(path, NO_LINKS, CONFIG_MAX, &ignored);
    if (text && config && ini_parse_string(text, add_key, config) >= 0) {
        const cJSON *clip = cJSON_GetObjectItemCaseSensitive(
            cJSON_GetObjectItemCaseSensitive(config, "optim"), "clip");
        char end;
        if (!cJSON_IsString(clip) || sscanf(clip->valuestring, "%lf%c", &h->clip, &end) != 1)
            h->clip = NAN;
        cJSON_Delete(h->config);
        h->config = config;
    } else
        cJSON_Delete(config);
    free(text);
    free(path);
}

/* --- open, refresh, close --- */

int history_open(struct history *h, const char *dir, struct error *err)
{
    struct stat st;
    *h = (struct history){.clip = NAN};
    if (stat(dir, &st))
        return fail(err, "%s: %s", dir, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return fail(err, "%s: expected a run folder", dir);
    int failed = !(h->dir = strdup(dir)) || curves_create(&h->steps, STEP_COLUMNS, STEP_BUCKETS) ||
                 curves_create(&h->evaluations, 1, EVALUATION_BUCKETS);
    for (int i = 0; i < HISTORY_FILES && !failed; i++)
        failed = tail_open(&h->files[i], dir, sources[i].name);
    if (failed) {
        history_close(h);
        return fail(err, "%s: no memory to read it", dir);
    }
    for (int i = 0; i < HISTORY_FILES; i++)
        restart(&(struct reader){h, &sources[i]});
    return 0;
}

void history_close(struct history *h)
{
    for (int i = 0; i < HISTORY_FILES; i++)
        tail_close(&h->files[i]);
    drop_tensors(h);
    curves_destroy(&h->steps);
    curves_destroy(&h->evaluations);
    cJSON_Delete(h->samples.array);
    cJSON_Delete(h->starts.array);
    cJSON_Delete(h->config);
    free(h->dir);
    *h = (struct history){0};
}

int history_refresh(struct history *h, struct error *err)
{
    int status = 0;
    read_config(h);
    for (int i = 0; i < HISTORY_FILES && status == 0; i++)
        status = tail_read(&h->files[i], read_line, restart, &(struct reader){h, &sources[i]}, err);
    return status;
}

int history_read(struct history *h, const char *dir, struct error *err)
{
    if (history_open(h, dir, err) || history_refresh(h, err))
        return -1;
    return h->config || h->steps.count
               ? 0
               : fail(err, "%s: holds no run: neither config.ini nor metrics.jsonl", dir);
}
