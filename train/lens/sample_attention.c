/* sample_attention.c: see sample_attention.h. */
#include "train/lens/sample_attention.h"
#include "base/minmax.h"
#include "train/checkpoint/run_directory.h"
#include "train/json.h"
#include "train/lens/inspection.h"
#include "train/report/history.h"
#include <math.h>
#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHOWN_TOKENS = 32, WEIGHTS_MAX = 1 << 18 /* of all maps */ };

/* The text of the last sample; the caller frees it. NULL if there is none. */
static char *last_sample(const char *run_dir)
{
    struct history h = {0};
    struct error ignored;
    char *text = NULL;
    const int n = history_read(&h, run_dir, &ignored) ? 0 : cJSON_GetArraySize(h.samples.array);
    const cJSON *last = n > 0 ? cJSON_GetArrayItem(h.samples.array, n - 1) : NULL;
    const char *string = cJSON_GetStringValue(cJSON_GetObjectItem(last, "text"));
    text = string && *string ? strdup(string) : NULL;
    history_close(&h);
    return text;
}

/* Runs the model on the first SHOWN_TOKENS tokens of a text. */
static int run_beginning(struct inspection *in, const char *text, struct error *err)
{
    const struct tokenizer *t = in->file.tokenizer;
    uint32_t *ids;
    size_t n, bytes = 0, length;
    if (tokenizer_encode(t, text, strlen(text), false, &ids, &n, err))
        return -1;
    const size_t most = size_min(SHOWN_TOKENS, in->config->block_size);
    for (size_t i = 0; i < size_min(n, most); i++) {
        tokenizer_bytes(t, ids[i], &length);
        bytes += length;
    }
    free(ids);
    return inspection_run(in, text, bytes, err);
}

static char *encode_weights(struct inspection *in)
{
    const size_t L = in->config->n_layer, map = in->config->n_head * in->T * in->T;
    uint8_t *bytes = malloc(L * map);
    char *text = malloc(BASE64_ENCODE_RAW_LENGTH(L * map) + 1);
    for (size_t l = 0; l < L && bytes && text; l++) {
        inspection_attention(in, l);
        for (size_t i = 0; i < map; i++) {
            const double w = in->weights[i];
            bytes[l * map + i] = w > 0 ? fmax(1, round(255 * sqrt(fmin(w, 1)))) : 0;
        }
    }
    if (bytes && text) {
        base64_encode_raw(text, L * map, bytes);
        text[BASE64_ENCODE_RAW_LENGTH(L * map)] = '\0';
    }
    free(bytes);
    return text;
}

static cJSON *describe(struct inspection *in)
{
    cJSON *object = json_add(NULL, FIELDS(NUMBER("step", in->file.state.step),
                                          NUMBER("n_layer", in->config->n_layer),
                                          NUMBER("n_head", in->config->n_head)));
    cJSON *tokens = cJSON_AddArrayToObject(object, "tokens");
    for (size_t i = 0; i < in->T; i++) {
        char shown[PRINTABLE_MAX];
        inspection_token(shown, in, in->ids[i], PRINTABLE_MAX);
        cJSON_AddItemToArray(tokens, json_add(NULL, FIELDS(TEXT("shown", shown))));
    }
    char *weights = encode_weights(in);
    cJSON_AddStringToObject(object, "weights", weights ? weights : "");
    free(weights);
    return object;
}

cJSON *sample_attention(const char *run_dir)
{
    char path[RUN_PATH_MAX];
    struct inspection in;
    struct error ignored;
    cJSON *object = NULL;
    char *text = last_sample(run_dir);
    if (text &&
        (!access(run_path(path, run_dir, "best.h5"), R_OK) ||
         !checkpoint_newest(path, run_dir, false, &ignored)) &&
        !inspection_open(&in, path, &ignored)) {
        const size_t heads = in.config->n_layer * in.config->n_head;
        if (heads * SHOWN_TOKENS * SHOWN_TOKENS <= WEIGHTS_MAX &&
            !run_beginning(&in, text, &ignored))
            object = describe(&in);
        inspection_close(&in);
    }
    free(text);
    return object;
}
