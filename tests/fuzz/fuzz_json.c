/* fuzz_json.c: tokenizer.json. */
#include "data/tokenizer/vocabulary.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    cJSON *root = cJSON_ParseWithLength((const char *)data, size);
    if (cJSON_IsObject(root))
        fuzz_bpe(bpe_read_hugging_face(root, NULL, &err));
    cJSON_Delete(root);
    return 0;
}
