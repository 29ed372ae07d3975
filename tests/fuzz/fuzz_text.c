/* fuzz_text.c: untrusted text: strict UTF-8, files, and tokens. The ids of any text decode to its
 * bytes, however it is divided. The first byte selects the test. */
#include "base/utf8.h"
#include "data/corpus/encoder.h"
#include "data/corpus/text.h"
#include "data/tokenizer/vocabulary.h"
#include "tests/fuzz/fuzz.h"
#include <nettle/base64.h>

enum { KINDS = 5 };
/* byte, char, and BPE with each named pattern */
static struct tokenizer *tokenizers[KINDS];

static struct tokenizer *make_bpe(const char *regex)
{
    static const char *const LONGER[] = {"th", "the", " t", " the", "\xc3\xa9", "\r\n", "00"};
    char text[8192], bytes[2] = "";
    size_t at = 0;
    struct error err;
    for (unsigned i = 0; i < 256 + sizeof LONGER / sizeof *LONGER; i++) {
        bytes[0] = (char)i;
        const char *token = i < 256 ? bytes : LONGER[i - 256];
        const size_t n = i < 256 ? 1 : strlen(token);
        base64_encode_raw(text + at, n, (const uint8_t *)token);
        at += BASE64_ENCODE_RAW_LENGTH(n);
        at += (size_t)snprintf(text + at, sizeof text - at, " %u\n", i);
    }
    return tokenizer_create_bpe(
        bpe_read_tiktoken("f", text, &(struct bpe_hints){.regex = regex}, &err), &err);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    static uint32_t alphabet[130];
    struct error err;
    for (uint32_t i = 0; i < 128; i++)
        alphabet[i] = i;
    alphabet[128] = 0xe9, alphabet[129] = 0x1f600;
    tokenizers[0] = tokenizer_create_byte(&err);
    tokenizers[1] = tokenizer_create_char(alphabet, 130, &err);
    static const char *const PATTERNS[] = {"gpt2", "gpt4", "gpt4o"};
    for (size_t i = 0; i < 3; i++)
        tokenizers[2 + i] = make_bpe(PATTERNS[i]);
    for (size_t i = 0; i < KINDS; i++)
        if (!tokenizers[i])
            abort();
    return 0;
}

static bool is_valid(const char *text, size_t n)
{
    uint32_t c;
    for (size_t at = 0; at < n;) {
        const int length = utf8_decode(text + at, n - at, &c);
        char encoded[UTF8_MAX];
        if (length <= 0)
            return false;
        if (utf8_encode(c, encoded) != (size_t)length ||
            memcmp(encoded, text + at, (size_t)length) != 0)
            abort();
        at += (size_t)length;
    }
    return true;
}

/* Repaired text is valid, and valid text is not changed. */
static void repair(const char *text, size_t n)
{
    char *out = malloc(3 * n + 1);
    const size_t size = utf8_repair(text, n, out);
    if (size > 3 * n || !is_valid(out, size) || utf8_complete(text, n) > n ||
        n - utf8_complete(text, n) >= UTF8_MAX ||
        (is_valid(text, n) && (size != n || memcmp(text, out, n) != 0)))
        abort();
    free(out);
}

static int check_piece(void *valid, const struct text_file *file, const char *piece, size_t n,
                       uint64_t offset, struct error *err)
{
    (void)file, (void)offset, (void)err;
    *(bool *)valid = is_valid(piece, n) && *(bool *)valid;
    return 0;
}

/* A plain file that can be read is valid UTF-8; whatever a compressed file or JSON lines contain,
 * the text is. */
static void read_file(const uint8_t *data, size_t size, bool json)
{
    static struct fuzz_file files[2];
    struct error err;
    struct text t = {0};
    bool valid = true;
    const char *path = fuzz_write(&files[json], json ? "file.jsonl" : "file", data, size);
    const bool plain = !json && size && !strchr("\x1F\x42\xFD\x28", data[0]);
    const bool read =
        text_add(&t, path, NULL, &err) == 0 && text_read(&t, check_piece, &valid, &err) == 0;
    if (!valid || (read && plain && !is_valid((const char *)data, size)))
        abort();
    text_free(&t);
}

struct ids {
    const uint32_t *list;
    size_t n, at;
};

static int compare(void *context, const uint32_t *ids, size_t n, struct error *err)
{
    (void)err;
    struct ids *whole = context;
    if (n > whole->n - whole->at || memcmp(ids, whole->list + whole->at, n * sizeof *ids) != 0)
        abort();
    whole->at += n;
    return 0;
}

/* A stream in two pieces gives the ids of the whole text. */
static void stream(const struct tokenizer *t, const char *text, size_t n, size_t cut)
{
    struct error err;
    uint32_t *ids;
    struct ids whole = {0};
    if (tokenizer_encode(t, text, n, false, &ids, &whole.n, &err) != 0)
        return;
    whole.list = ids;
    struct encoder *e = encoder_create(
        &(struct encoder_config){
            .tokenizer = t, .separator = "", .sink = compare, .context = &whole},
        &err);
    if (!e || pretokenizer_append(encoder_input(e), text, cut, &err) ||
        pretokenizer_append(encoder_input(e), text + cut, n - cut, &err) ||
        encoder_finish(e, &err) || whole.at != whole.n)
        abort();
    encoder_destroy(e);
    free(ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const unsigned how = *data++;
    size--;
    const struct tokenizer *t = tokenizers[how % KINDS];
    char *text = fuzz_text(data, size);
    repair(text, size);
    fuzz_round_trip(t, text, size);
    if (how / KINDS % 8 == 0)
        read_file(data, size, how % 3 == 0);
    /* rarely, because it needs a few megabytes */
    if (how >= 250 && size && size % 8 == 0 && is_valid(text, size))
        stream(t, text, size, how * 131u % size);
    free(text);
    return 0;
}
