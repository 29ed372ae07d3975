/* fuzz_tiktoken.c: NAME.tiktoken. */
#include "../../data/bpe_draft.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    char *text = fuzz_text(data, size);
    fuzz_bpe(bpe_read_tiktoken("f", text, size, NULL, &err));
    free(text);
    return 0;
}
