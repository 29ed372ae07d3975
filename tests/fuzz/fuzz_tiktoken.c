/* fuzz_tiktoken.c: NAME.tiktoken, with the pattern that such a file does not name and without which none is read. */
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
