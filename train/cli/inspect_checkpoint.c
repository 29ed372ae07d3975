/* inspect_checkpoint.c: describes a checkpoint: training state, configuration, and for every tensor
 * statistics that reveal a dead, exploded or untrained layer. */
#include "train/checkpoint/checkpoint_parts.h"
#include "train/cli/inspect.h"
#include "train/config/config_keys.h"
#include "train/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct stats {
    double mean, std, min, max; /* of the finite elements; NAN if there are none */
    size_t non_finite, first;   /* number of elements that are not finite, index of the first */
    size_t negative;
};

static struct stats measure(const float *x, size_t n)
{
    struct stats s = {.min = INFINITY, .max = -INFINITY};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i])) {
            s.first = s.non_finite++ ? s.first : i;
            continue;
        }
        sum += x[i];
        s.min = fmin(s.min, x[i]);
        s.max = fmax(s.max, x[i]);
        s.negative += x[i] < 0;
    }
    const double finite = n - s.non_finite;
    s.mean = sum / finite;
    for (size_t i = 0; i < n; i++)
        squares += isfinite(x[i]) ? (x[i] - s.mean) * (x[i] - s.mean) : 0;
    s.std = sqrt(squares / finite);
    if (s.non_finite == n)
        s.min = s.max = NAN;
    return s;
}

static cJSON *config_json(const struct config *c)
{
    cJSON *object = cJSON_CreateObject();
    char text[KEY_TEXT_MAX];
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        cJSON *section = cJSON_GetObjectItem(object, key->section);
        if (!section)
            section = cJSON_AddObjectToObject(object, key->section);
        config_key_get(key, c, text);
        if (key->type == KEY_BOOL)
            cJSON_AddBoolToObject(section, key->name, !strcmp(text, "yes"));
        else if (key->type == KEY_COUNT || key->type == KEY_NUMBER)
            cJSON_AddRawToObject(section, key->name, text); /* a double would lose digits */
        else
            cJSON_AddStringToObject(section, key->name, text);
    }
    return object;
}

cJSON *inspect_tensor(const char *name, cJSON *shape, const float *x, size_t n)
{
    const struct stats s = measure(x, n);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", name);
    cJSON_AddItemToObject(object, "shape", shape);
    return json_add(object,
                    FIELDS(NUMBER("mean", s.mean), NUMBER("std", s.std), NUMBER("min", s.min),
                           NUMBER("max", s.max), NUMBER("non_finite", s.non_finite)));
}

static cJSON *tensors_json(const struct tensors *t, const float *params)
{
    cJSON *list = cJSON_CreateArray();
    for (const struct tensor *tensor = t->list; tensor < t->list + t->count; tensor++) {
        cJSON *shape = cJSON_CreateArray();
        for (int k = 0; k < tensor->ndim; k++)
            cJSON_AddItemToArray(shape, cJSON_CreateNumber(tensor->shape[k]));
        cJSON_AddItemToArray(list, inspect_tensor(tensor->name, shape, params + tensor->offset,
                                                  tensor_file_size(tensor)));
    }
    return list;
}

static cJSON *checkpoint_json(const struct inspect *in, struct checkpoint_file *f,
                              const struct checkpoint *c, const float *params)
{
    cJSON *object = inspect_begin(in, "checkpoint");
    for (size_t i = 0; i < state_field_count; i++) {
        const void *value = (const char *)&c->state + state_fields[i].offset;
        cJSON_AddNumberToObject(object, state_fields[i].name,
                                state_fields[i].is_float ? *(const double *)value
                                                         : (double)*(const uint64_t *)value);
    }
    if (*c->state.val_measure)
        cJSON_AddStringToObject(object, "val_measure", c->state.val_measure);
    json_add(object, FIELDS(NUMBER("parameters", c->tensors->n_parameters),
                            NUMBER("vocab_size", c->tensors->config.vocab_size),
                            TEXT("data_fingerprint", c->data_fingerprint)));
    if (c->tokenizer)
        inspect_add_tokenizer(object, c->tokenizer->kind, c->tokenizer->vocab_size,
                              c->tokenizer->fingerprint);
    cJSON_AddBoolToObject(object, "optimiser", checkpoint_has(f, "adamw"));
    cJSON_AddBoolToObject(object, "grads", checkpoint_has(f, "grads"));
    cJSON_AddItemToObject(object, "config", config_json(&c->config));
    cJSON_AddItemToObject(object, "tensors", tensors_json(c->tensors, params));
    return object;
}

/* --- verification --- */

static void check_group(struct inspect *in, struct checkpoint_file *f, const struct tensors *t,
                        const char *group, float *array)
{
    struct error problem;
    if (checkpoint_read(f, group, array, &problem)) {
        inspect_problem(in, &problem);
        return;
    }
    for (const struct tensor *tensor = t->list; tensor < t->list + t->count; tensor++) {
        const size_t n = tensor_file_size(tensor);
        const struct stats s = measure(array + tensor->offset, n);
        if (s.non_finite) {
            fail(&problem, "%s: %s/%s: %zu of %zu numbers are not finite, the first at index %zu",
                 in->path, group, tensor->name, s.non_finite, n, s.first);
            inspect_problem(in, &problem);
        }
        if (s.negative && !strcmp(group, "adamw/v")) {
            fail(&problem, "%s: %s/%s: %zu of %zu second moments are negative", in->path, group,
                 tensor->name, s.negative, n);
            inspect_problem(in, &problem);
        }
    }
}

static void verify(struct inspect *in, struct checkpoint_file *f, const struct tensors *t,
                   float *array)
{
    check_group(in, f, t, "params", array);
    if (checkpoint_has(f, "adamw")) {
        check_group(in, f, t, "adamw/m", array);
        check_group(in, f, t, "adamw/v", array);
    }
    if (checkpoint_has(f, "grads"))
        check_group(in, f, t, "grads", array);
}

int inspect_checkpoint(struct inspect *in, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(in->path, &c, err);
    if (!f)
        return -1;
    float *array = calloc(c.tensors->total, sizeof *array);
    int status =
        array ? checkpoint_read(f, "params", array, err)
              : fail(err, "%s: out of memory for %zu parameters", in->path, c.tensors->total);
    if (!status) {
        cJSON *object = checkpoint_json(in, f, &c, array);
        if (in->verify)
            verify(in, f, c.tensors, array);
        inspect_print(in, object);
    }
    free(array);
    checkpoint_close(f);
    return status;
}
