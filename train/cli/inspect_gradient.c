/* inspect_gradient.c: describes a gradient file of `handgrad grad`: loss, logits, and statistics of
 * every gradient. */
#include "data/hdf5/h5_read.h"
#include "data/hdf5/h5_reader.h"
#include "train/cli/inspect.h"
#include "train/json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Reads a dataset of float or double numbers as float. The caller frees it. NULL on error. */
static float *read_numbers(struct h5_node d, size_t *n, struct error *err)
{
    const struct h5_entry *e = d.entry;
    const char *file = h5_file_name(d);
    if (e->kind != KIND_DATASET || (e->type != TYPE_F32 && e->type != TYPE_F64))
        return fail_null(err, "%s: not a gradient file: expected float or double numbers", file);
    *n = 1;
    for (uint32_t i = 0; i < e->ndim; i++)
        if (__builtin_mul_overflow(*n, e->dims[i], n))
            return fail_null(err, "%s: a dataset is too large", file);
    double *numbers = calloc(*n + 1, sizeof *numbers);
    float *x = (float *)numbers;
    if (!numbers)
        return fail_null(err, "%s: out of memory for %zu numbers", file, *n);
    if (h5_read(d, 0, *n, numbers, err)) {
        free(numbers);
        return NULL;
    }
    for (size_t i = 0; i < *n && e->type == TYPE_F64; i++)
        x[i] = (float)numbers[i];
    return x;
}

static cJSON *shape_json(const struct h5_entry *e)
{
    cJSON *shape = cJSON_CreateArray();
    for (uint32_t i = 0; i < e->ndim; i++)
        cJSON_AddItemToArray(shape, cJSON_CreateNumber(e->dims[i]));
    return shape;
}

static int add_tensor(cJSON *list, struct h5_node d, const char *name, double *squares,
                      struct error *err)
{
    size_t n;
    float *x = read_numbers(d, &n, err);
    if (!x)
        return -1;
    for (size_t i = 0; i < n; i++)
        *squares += (double)x[i] * x[i];
    cJSON_AddItemToArray(list, inspect_tensor(name, shape_json(d.entry), x, n));
    free(x);
    return 0;
}

/* Adds every dataset in the group "grads"; in the file's index, they follow it. */
static int add_tensors(cJSON *list, const struct h5_reader *r, double *squares, struct error *err)
{
    static const char prefix[] = "grads/";
    int status = 0;
    for (uint64_t i = 0; i < r->n_entries && !status; i++) {
        const char *name = r->text + r->entries[i].name;
        if (!strncmp(name, prefix, strlen(prefix)) && r->entries[i].kind == KIND_DATASET)
            status = add_tensor(list, (struct h5_node){r, &r->entries[i]}, name + strlen(prefix),
                                squares, err);
    }
    return status;
}

int inspect_gradient(struct inspect *in, const struct h5_reader *r, struct error *err)
{
    struct h5_node loss, logits;
    size_t n;
    double squares = 0;
    if (!h5_member(h5_root(r), "loss", &loss) || !h5_member(h5_root(r), "logits", &logits))
        return fail(err, "%s: not a gradient file: expected loss and logits", in->path);
    float *value = read_numbers(loss, &n, err);
    if (!value)
        return -1;
    cJSON *object = inspect_begin(in, "gradient"), *list = cJSON_CreateArray();
    const int status = add_tensors(list, r, &squares, err);
    const uint64_t *dims = logits.entry->dims; /* zero beyond ndim */
    json_add(object,
             FIELDS(NUMBER("loss", *value), NUMBER("rows", dims[0]), NUMBER("tokens", dims[1]),
                    NUMBER("vocab_size", dims[2]), NUMBER("grad_norm", sqrt(squares))));
    cJSON_AddItemToObject(object, "tensors", list);
    free(value);
    if (status)
        cJSON_Delete(object);
    else
        inspect_print(in, object);
    return status;
}
