/* fuzz_config.c: a configuration. If it is accepted, the text written from it must give the same
 * one. */
#include "tests/fuzz/fuzz.h"
#include "train/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error err;
    struct config c, back;
    struct model_config ignored;
    char *text = fuzz_text(data, size), difference[64];
    if (config_parse(&c, text, "f", &err) == 0 && config_check(&c, "f", &err) == 0) {
        char *written = config_text(&c);
        if (!written || config_parse(&back, written, "f", &err) ||
            config_diff(&c, &back, difference, sizeof difference))
            abort();
        free(written);
        (void)config_model(&c, 300, &ignored, "f", &err);
    }
    config_defaults(&c);
    (void)config_set(&c, text, &err);
    free(text);
    return 0;
}
