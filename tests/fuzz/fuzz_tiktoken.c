/* fuzz_tiktoken.c: NAME.tiktoken, with a pattern, which such files do not contain and the reader
 * requires. */
#include "data/tokenizer/vocabulary.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    char *text = fuzz_text(data, size);
    fuzz_bpe(bpe_read_tiktoken("f", text, &(struct bpe_hints){.regex = "gpt2"}, &err));
    free(text);
    return 0;
}
