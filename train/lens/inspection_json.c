/* inspection_json.c: see inspection_json.h. */
#include "train/lens/inspection_json.h"
#include "train/json.h"
#include "train/report/json_numbers.h"

enum { DIGITS = 9 /* enough to read a float back exactly */ };

static cJSON *token(const struct inspection *in, uint32_t id)
{
    size_t n;
    char shown[PRINTABLE_MAX];
    const char *bytes = tokenizer_bytes(in->file.tokenizer, id, &n);
    cJSON *object = cJSON_CreateObject();
    inspection_token(shown, in, id, PRINTABLE_MAX);
    cJSON_AddNumberToObject(object, "id", id);
    cJSON_AddItemToObject(object, "text", json_string(bytes, n));
    cJSON_AddStringToObject(object, "shown", shown);
    return object;
}

/* What inspection_predict found. */
static cJSON *predictions(const struct inspection *in, size_t depth, size_t k)
{
    char name[32];
    cJSON *object = json_add(NULL, FIELDS(TEXT("after", inspection_depth_name(name, depth)),
                                          NUMBER("loss", in->mean_loss))),
          *positions = cJSON_AddArrayToObject(object, "positions");
    for (size_t t = 0; t < in->T; t++) {
        cJSON *position = json_add(NULL, FIELDS(NUMBER("loss", in->top_losses[t]))),
              *top = cJSON_AddArrayToObject(position, "top");
        for (size_t i = t * k; i < (t + 1) * k; i++) {
            cJSON *prediction = token(in, in->top[i].id);
            cJSON_AddNumberToObject(prediction, "p", in->top[i].p);
            cJSON_AddItemToArray(top, prediction);
        }
        cJSON_AddItemToArray(positions, position);
    }
    return object;
}

cJSON *inspection_json(struct inspection *in, size_t k, struct error *err)
{
    const struct model_config *c = in->config;
    cJSON *object = json_add(
              NULL, FIELDS(NUMBER("step", in->file.state.step), NUMBER("n_layer", c->n_layer),
                           NUMBER("n_head", c->n_head), NUMBER("n_embd", c->n_embd),
                           NUMBER("block_size", c->block_size), NUMBER("omitted", in->omitted))),
          *tokens = cJSON_AddArrayToObject(object, "tokens");
    for (size_t t = 0; t < in->T; t++)
        cJSON_AddItemToArray(tokens, token(in, in->ids[t]));
    cJSON *depths = cJSON_AddArrayToObject(object, "depths");
    for (size_t depth = 0; depth <= c->n_layer; depth++) {
        if (inspection_predict(in, depth, k, err)) {
            cJSON_Delete(object);
            return NULL;
        }
        cJSON_AddItemToArray(depths, predictions(in, depth, k));
    }
    return object;
}

static void add_matrix(cJSON *object, const char *name, const float *x, size_t rows, size_t columns)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);
    for (size_t i = 0; i < rows; i++) {
        double row[columns];
        for (size_t j = 0; j < columns; j++)
            row[j] = x[i * columns + j];
        cJSON_AddItemToArray(array, json_numbers(row, columns, 1, DIGITS));
    }
}

cJSON *inspection_json_attention(const struct inspection *in, size_t layer, size_t head)
{
    cJSON *object = json_add(NULL, FIELDS(NUMBER("layer", layer), NUMBER("head", head)));
    add_matrix(object, "weights", in->weights + head * in->T * in->T, in->T, in->T);
    return object;
}

cJSON *inspection_json_gradient(struct inspection *in, size_t position, bool vectors)
{
    inspection_gradient(in, position);
    cJSON *object =
        json_add(NULL, FIELDS(NUMBER("position", position), NUMBER("loss", in->losses[position])));
    cJSON_AddItemToObject(object, "norms", json_numbers(in->norms, in->T, 1, DIGITS));
    if (vectors)
        add_matrix(object, "vectors", in->gradient, in->T, in->config->n_embd);
    return object;
}
