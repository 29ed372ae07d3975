/* fuzz_config.c: a configuration; what is written of one that was taken reads as the same. */
#include "tests/fuzz/fuzz.h"
#include "train/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    struct config c, back;
    struct model_config ignored;
    char *text = fuzz_text(data, size), difference[64];
    if (config_parse(&c, text, "f", &err) == 0 && config_check(&c, "f", &err) == 0) {
        char *again = config_text(&c);
        if (!again || config_parse(&back, again, "f", &err) ||
            config_diff(&c, &back, difference, sizeof difference))
            abort();
        free(again);
        (void)config_model(&c, 300, &ignored, "f", &err);
    }
    config_defaults(&c);
    (void)config_set(&c, text, &err);
    free(text);
    return 0;
}
