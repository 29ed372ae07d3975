/* Files as handgrad writes them, each with one thing forged: the documents of a shard, the
 * byte-pair encoding of a tokenizer. What libhdf5 writes without complaint a reader has to refuse,
 * by name. */
#include "data/shard.h"
#include "data/tokenizer/bpe_train.h"
#include "tests/data_fixture.h"

enum { TOKENS = 100 };

/* Removes an object and, unless n is 0, writes n elements in its place. */
static void put(hid_t root, const char *name, enum h5_type type, uint64_t n, const void *data)
{
    H5Ldelete(root, name, H5P_DEFAULT);
    if (!n)
        return;
    const hid_t d = h5_dataset_create(root, name, type, n, 0, "f", &err);
    if (data)
        H5Dwrite(d, h5_type_id(type, true), H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    H5Dclose(d);
}

struct forgery {
    const char *name; /* of an attribute or dataset */
    enum { U64, TEXT, LACKS, BYTES, WORDS, LONGS, LINK } what;
    uint64_t n;           /* value; elements */
    const void *data;     /* text; elements */
    const char *expected; /* NULL: it is taken */
};

static void forge(const char *path, const struct forgery *f)
{
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    ck_assert(file >= 0);
    if (f->what <= LACKS && f->name)
        H5Adelete(file, f->name);
    switch (f->what) {
    case U64:
        if (f->name)
            OK(h5_write_u64(file, f->name, f->n, "f", &err));
        break;
    case TEXT:
        OK(h5_write_string(file, f->name, f->data, "f", &err));
        break;
    case LACKS:
        break;
    case BYTES:
        put(file, f->name, TYPE_U8, f->n, f->data);
        break;
    case WORDS:
        put(file, f->name, TYPE_U32, f->n, f->data);
        break;
    case LONGS:
        put(file, f->name, TYPE_U64, f->n, f->data);
        break;
    case LINK:
        H5Lmove(file, f->name, file, "elsewhere", H5P_DEFAULT, H5P_DEFAULT);
        H5Lcreate_soft("/elsewhere", file, f->name, H5P_DEFAULT, H5P_DEFAULT);
    }
    H5Fclose(file);
}

/* Tokens 0, 1, ...; documents begin with 0, 10 and 50. */
static int number_tokens(void *context, uint64_t first, size_t n, uint32_t *ids, uint64_t *bytes,
                         struct error *e)
{
    (void)context, (void)e;
    for (uint32_t i = 0; i < n; i++)
        ids[i] = (uint32_t)first + i;
    ids[0] |= DOCUMENT_BEGIN, ids[10] |= DOCUMENT_BEGIN, ids[50] |= DOCUMENT_BEGIN;
    *bytes += n;
    return 0;
}

static void write_shard(const char *path)
{
    static const char HEX[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    struct shard_info info = {.split = "train",
                              .count = 1,
                              .tokenizer_kind = "byte",
                              .vocab_size = 256,
                              .tokens = TOKENS,
                              .has_documents = true};
    strcpy(info.tokenizer_fingerprint, HEX);
    strcpy(info.corpus, HEX);
    OK(shard_write(path, &info, number_tokens, NULL, &err));
}

START_TEST(documents)
{
    static const uint64_t FALLING[] = {0, 50, 10}, TWICE[] = {0, 10, 10},
                          BEYOND[] = {0, 10, TOKENS}, MOVED[] = {0, 10, 51}, FOUR[4];
    static const uint32_t NARROW[] = {0, 10, 50};
    static const struct forgery FORGERIES[] = {
        {NULL, U64, 0, NULL, NULL}, /* the true one */
        {"documents", U64, 4, NULL, "/documents: 3 elements, expected 4"},
        {"documents", U64, TOKENS + 1, NULL, "101 documents cannot begin in 100 tokens"},
        {"documents", U64, UINT64_MAX, NULL, "cannot begin in 100 tokens"},
        {"documents", TEXT, 0, "3", "attribute documents: expected one integer"},
        {"documents_sha256", LACKS, 0, NULL, "attribute documents_sha256 is missing"},
        {"documents_sha256", TEXT, 0, "0", "is not a SHA-256"},
        {"documents", LONGS, 0, NULL, "/documents: missing"},
        {"documents", WORDS, 3, NARROW, "/documents: expected another type"},
        {"documents", LONGS, 4, FOUR, "/documents: 4 elements, expected 3"},
        {"documents", LONGS, (uint64_t)1 << 41, NULL, "/documents: too long"},
        {"documents", LONGS, 3, NULL, "/documents: its storage does not have the size"},
        {"documents", LONGS, 3, FALLING,
         "/documents: element 2 is 10: expected ascending positions"},
        {"documents", LONGS, 3, TWICE, "/documents: element 2 is 10: expected ascending positions"},
        {"documents", LONGS, 3, BEYOND,
         "/documents: element 2 is 100: expected ascending positions in the shard"},
        {"documents", LONGS, 3, MOVED, "damaged: /documents does not match documents_sha256"},
        {"documents", LINK, 0, NULL, "/documents: expected a dataset, not a link"},
    };
    enter_folder();
    h5_lock();
    for (size_t i = 0; i < sizeof FORGERIES / sizeof *FORGERIES; i++) {
        const char *path = in_folder("train-00000.h5");
        uint64_t *begins = NULL;
        write_shard(path);
        forge(path, &FORGERIES[i]);
        struct shard *s = shard_open(path, 0, &err);
        const bool taken = s && shard_read_documents(s, &begins, &err) == 0;
        ck_assert_msg(taken ? !FORGERIES[i].expected
                            : FORGERIES[i].expected && strstr(err.text, FORGERIES[i].expected),
                      "%zu: %s", i, taken ? "taken" : err.text);
        free(begins);
        shard_close(s);
    }
    h5_unlock();
}
END_TEST

static void write_bpe(const char *path)
{
    struct bytemap counts = {0};
    static const char *const WORDS_OF[] = {" the", " then", " there", " other"};
    for (size_t i = 0; i < 4; i++)
        bytemap_add(&counts, WORDS_OF[i], strlen(WORDS_OF[i]))->value = i + 2;
    const struct bpe_plan plan = {
        260,  (const char *const[]){"<|endoftext|>"}, 1, "gpt2", NULL, NULL,
        false}; /* three merges */
    struct tokenizer *t = tokenizer_create_bpe(bpe_train(&counts, &plan, &err), &err);
    ck_assert_msg(t, "%s", err.text);
    OK(tokenizer_save(t, path, &err));
    tokenizer_destroy(t);
    bytemap_free(&counts);
}

START_TEST(byte_pairs)
{
    static uint32_t falling[260], large[260], far[] = {900, 1, 256, 0, 1, 257, 0, 1, 258}, nine[9];
    static uint8_t kinds[260];
    for (uint32_t i = 0; i < 260; i++)
        falling[i] = 260 - i, large[i] = i < 259 ? i : UINT32_MAX, kinds[i] = 77;
    const struct forgery forgeries[] = {
        {NULL, U64, 0, NULL, NULL}, /* the true one */
        {"n_merges", U64, UINT64_MAX, NULL, "out of range"},
        {"n_merges", U64, 4, NULL, "/merges: 9 elements, expected 12"},
        {"n_merges", U64, 2, NULL, "/merges: 9 elements, expected 6"},
        {"n_merges", U64, 0, NULL, ""},
        {"whole_words", U64, 2, NULL, "out of range"},
        {"vocab_size", U64, 0, NULL, "out of range"},
        {"vocab_size", U64, (uint64_t)1 << 40, NULL, "out of range"},
        {"vocab_size", U64, 261, NULL, "/token_ends: 260 elements, expected 261"},
        {"pattern", LACKS, 0, NULL, "attribute pattern is missing"},
        {"pattern", TEXT, 0, "(", ""},
        {"pattern", TEXT, 0, "(?C1)x", ""},
        {"token_ends", WORDS, 0, NULL, "/token_ends: missing"},
        {"token_ends", WORDS, 260, falling, "/token_ends: element 1 is less than the previous one"},
        {"token_ends", WORDS, 260, large, "elements, expected 4294967295"},
        {"token_ends", LINK, 0, NULL, "not a link"},
        {"token_kinds", BYTES, 260, kinds, ""},
        {"token_kinds", WORDS, 260, large, "/token_kinds: expected another type"},
        {"token_bytes", BYTES, 300, NULL, "/token_bytes: "},
        {"token_bytes", BYTES, 0, NULL, "/token_bytes: missing"},
        {"merges", WORDS, 9, far, ""},
        {"merges", WORDS, 9, nine, ""},
        {"merges", LINK, 0, NULL, "not a link"},
        {"fingerprint", TEXT, 0, "0", "fingerprint does not match"},
    };
    enter_folder();
    h5_lock();
    for (size_t i = 0; i < sizeof forgeries / sizeof *forgeries; i++) {
        const char *path = in_folder("tokenizer.h5");
        write_bpe(path);
        forge(path, &forgeries[i]);
        struct tokenizer *t = tokenizer_load(path, &err);
        ck_assert_msg(t ? !forgeries[i].expected
                        : forgeries[i].expected && strstr(err.text, forgeries[i].expected),
                      "%zu: %s", i, t ? "taken" : err.text);
        tokenizer_destroy(t);
    }
    h5_unlock();
    ck_assert(nothing_open());
}
END_TEST

SUITE("data/forged", documents, byte_pairs)
