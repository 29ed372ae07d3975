/* fuzz_merges.c: vocab.json, a byte 0x01, merges.txt. */
#include "data/tokenizer/vocabulary.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    const uint8_t *cut = memchr(data, 1, size);
    const size_t n = cut ? (size_t)(cut - data) : size;
    cJSON *vocab = cJSON_ParseWithLength((const char *)data, n);
    char *merges = fuzz_text(cut ? cut + 1 : data, cut ? size - n - 1 : 0);
    if (cJSON_IsObject(vocab))
        fuzz_bpe(bpe_read_merges("f", vocab, "g", merges, NULL, &err));
    free(merges);
    cJSON_Delete(vocab);
    return 0;
}
