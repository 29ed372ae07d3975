/* fuzz_tokens.c: standard input of `handgrad tokens`: ids, JSON lines or text, as selected by the
 * first byte. */
#include "tests/fuzz/fuzz.h"
#include "train/cli/tokens.c"

static struct tokenizer *tokenizer;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    struct error err;
    tokenizer = tokenizer_create_byte(&err);
    if (!tokenizer || !freopen("/dev/null", "w", stdout))
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    if (size == 0)
        return 0;
    const struct arguments a = {
        .json = *data & 1, .decode = *data & 2, .lines = *data & 4, .special = *data & 8};
    char *text = fuzz_text(data + 1, size - 1);
    if (a.lines)
        (void)run_line(&a, tokenizer, text, size - 1, &err);
    else if (a.decode)
        (void)decode(&a, tokenizer, NULL, text, size - 1, &err);
    else
        (void)encode(&a, tokenizer, text, size - 1, &err);
    free(text);
    return 0;
}
