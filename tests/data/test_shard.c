/* test_shard.c: tokens come back from a shard as they were written, or there is an error. */
#include "base/atomic.h"
#include "data/hdf5/h5.h"
#include "data/shard.h"
#include "tests/data_fixture.h"
#include <limits.h>
#include <sys/stat.h>

enum { CHUNK = 16384 };
static const char HEX[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

static struct shard_info make_info(uint64_t tokens, uint64_t vocab_size)
{
    struct shard_info i = {.split = "train", .index = 0, .count = 1, .tokenizer_kind = "char"};
    strcpy(i.tokenizer_fingerprint, HEX);
    strcpy(i.corpus, HEX);
    i.vocab_size = vocab_size;
    i.tokens = tokens;
    i.sources = "[{\"path\":\"a\"}]";
    return i;
}

static uint32_t *random_tokens(size_t n, uint64_t vocab_size)
{
    uint32_t *tokens = malloc(n * sizeof *tokens);
    for (size_t i = 0; i < n; i++)
        tokens[i] = (uint32_t)random_below(vocab_size);
    tokens[random_below(n)] = (uint32_t)vocab_size - 1;
    return tokens;
}

/* A shard_source: tokens from an array, each of two bytes. */
static int from_array(void *tokens, uint64_t first, size_t n, uint32_t *ids, uint64_t *bytes,
                      struct error *e)
{
    (void)e;
    memcpy(ids, (uint32_t *)tokens + first, n * sizeof *ids);
    *bytes += 2 * n;
    return 0;
}

static void write_shard(const char *path, uint32_t *tokens, size_t n, uint64_t vocab_size)
{
    const struct shard_info info = make_info(n, vocab_size);
    OK(shard_write(path, &info, from_array, tokens, &err));
}

/* Random windows, and all of it. */
static void check_contents(struct shard *s, const uint32_t *tokens, size_t n)
{
    uint32_t *back = malloc(n * sizeof *back);
    for (size_t round = 0; round < 50; round++) {
        const size_t first = random_below(n), m = random_below(n - first + 1);
        OK(shard_read(s, first, m, back, &err));
        ck_assert(memcmp(back, tokens + first, m * sizeof *back) == 0);
    }
    OK(shard_read(s, 0, n, back, &err));
    ck_assert(memcmp(back, tokens, n * sizeof *back) == 0);
    OK(shard_verify(s, &err));
    OK(shard_read(s, n, 0, back, &err));
    FAILS(shard_read(s, n, 1, back, &err), "are not all among");
    FAILS(shard_read(s, n - 1, 2, back, &err), "are not all among");
    FAILS(shard_read(s, UINT64_MAX, 2, back, &err), "are not all among");
    FAILS(shard_read(s, 1, SIZE_MAX, back, &err), "are not all among");
    free(back);
}

START_TEST(tokens_come_back)
{
    enter_folder();
    const char *path = in_folder("train-00000.h5");
    static const size_t SIZES[] = {1, 2, 100, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 77};
    static const uint64_t VOCABS[] = {1, 65, 65536, 65537, 1 << 20};
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++)
        for (size_t v = 0; v < sizeof VOCABS / sizeof *VOCABS; v++) {
            const size_t n = SIZES[i];
            uint32_t *tokens = random_tokens(n, VOCABS[v]);
            write_shard(path, tokens, n, VOCABS[v]);
            struct shard *s = shard_open(path, v % 2 ? 1 << 20 : 0, &err);
            ck_assert_msg(s, "%zu tokens of %zu: %s", n, (size_t)VOCABS[v], err.text);
            const struct shard_info *info = shard_get_info(s);
            ck_assert(info->tokens == n && info->bytes == 2 * n && info->vocab_size == VOCABS[v]);
            ck_assert_str_eq(info->split, "train");
            ck_assert_str_eq(info->corpus, HEX);
            ck_assert_str_eq(info->sources, "[{\"path\":\"a\"}]");
            check_contents(s, tokens, n);
            shard_close(s);
            free(tokens);
        }
    ck_assert(nothing_open());
}
END_TEST

/* What any reader of HDF5 finds, and that two seconds make no difference. */
START_TEST(the_file_itself)
{
    enter_folder();
    uint32_t *tokens = random_tokens(2 * CHUNK, 300);
    const char *a = in_folder("a.h5"), *b = in_folder("b.h5");
    write_shard(a, tokens, 2 * CHUNK, 300);
    sleep(2);
    write_shard(b, tokens, 2 * CHUNK, 300);
    size_t na, nb;
    unsigned char *x = read_file(a, &na), *y = read_file(b, &nb);
    ck_assert_uint_eq(na, nb);
    ck_assert(memcmp(x, y, na) == 0);
    free(x), free(y);

    h5_lock();
    const hid_t f = H5Fopen(a, H5F_ACC_RDONLY, H5P_DEFAULT),
                d = H5Dopen2(f, "/tokens", H5P_DEFAULT), p = H5Dget_create_plist(d);
    const hid_t type = H5Dget_type(d);
    ck_assert(H5Tequal(type, H5T_STD_U16LE) > 0);
    hsize_t chunk = 0;
    ck_assert_int_eq(H5Pget_chunk(p, 1, &chunk), 1);
    ck_assert_uint_eq(chunk, CHUNK);
    static const H5Z_filter_t FILTERS[] = {H5Z_FILTER_SHUFFLE, H5Z_FILTER_DEFLATE,
                                           H5Z_FILTER_FLETCHER32};
    ck_assert_int_eq(H5Pget_nfilters(p), 3);
    for (unsigned i = 0; i < 3; i++) {
        unsigned flags, config;
        size_t n = 0;
        ck_assert_int_eq(H5Pget_filter2(p, i, &flags, &n, NULL, 0, NULL, &config), FILTERS[i]);
    }
    uint32_t *back = malloc(2 * CHUNK * sizeof *back);
    ck_assert(H5Dread(d, H5T_NATIVE_UINT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, back) >= 0);
    ck_assert(memcmp(back, tokens, 2 * CHUNK * sizeof *back) == 0);
    char *digest, expected[DIGEST_HEX];
    struct h5_reader *r = h5_open(a, &err);
    ck_assert_msg(r, "%s", err.text);
    OK(h5_read_string(h5_root(r), "sha256", &digest, &err));
    h5_close(r);
    struct digest sha;
    digest_init(&sha);
    for (size_t i = 0; i < 2 * CHUNK; i++)
        digest_update(&sha, (const uint8_t[]){(uint8_t)tokens[i], (uint8_t)(tokens[i] >> 8)}, 2);
    digest_finish(&sha, expected);
    ck_assert_str_eq(digest, expected);
    free(digest), free(back), free(tokens);
    H5Tclose(type), H5Pclose(p), H5Dclose(d), H5Fclose(f);
    h5_unlock();
    ck_assert(nothing_open());
}
END_TEST

START_TEST(bad_tokens_are_not_written)
{
    enter_folder();
    const char *path = in_folder("x.h5");
    uint32_t ids[] = {0, 1, 5};
    struct shard_info info = make_info(3, 5);
    FAILS(shard_write(path, &info, from_array, ids, &err), "token id 5, but vocab_size is 5");
    ck_assert_int_ne(access(path, F_OK), 0);
    info.tokens = 0;
    FAILS(shard_write(path, &info, from_array, ids, &err), "without tokens");
    info.tokens = 1;
    FAILS(shard_write(in_folder("none/x.h5"), &info, from_array, ids, &err),
          "none/x.h5: cannot create");
    ck_assert(nothing_open());
}
END_TEST

START_TEST(names)
{
    char path[PATH_MAX];
    uint64_t i;
    OK(shard_path(path, "a/b", "val", 12, &err));
    ck_assert_str_eq(path, "a/b/val-00012.h5");
    FAILS(shard_path(path, "a/b", "val", SHARD_MAX_COUNT, &err), "no name for shard 99999");
    ck_assert(shard_parse_name("val-00012.h5", "val", &i) && i == 12);
    static const char *const OTHERS[] = {"val-0012.h5",  "val-000012.h5",
                                         "val-00012.h",  "val-00012.h5x",
                                         "val-0001a.h5", "train-00012.h5",
                                         "val00012.h5",  ".val-00012.h5",
                                         "val-99999.h5", "",
                                         "val",          "val-"};
    for (size_t k = 0; k < sizeof OTHERS / sizeof *OTHERS; k++)
        ck_assert_msg(!shard_parse_name(OTHERS[k], "val", &i), "%s", OTHERS[k]);
}
END_TEST

/* A shard with any contents, as another program might write it. */
enum crime {
    NONE,
    SIGNED,
    WIDE,
    OTHER_ORDER,
    TWO_DIMENSIONS,
    SCALAR,
    EMPTY,
    LINK,
    SOFT_LINK,
    GROUP,
    EXTERNAL,
    VIRTUAL,
    COMPACT,
    CHUNK_MISSING,
    NO_STORAGE,
    HUGE_CHUNK,
    OTHER_FILTER,
    ID_TOO_LARGE,
    OTHER_DIGEST,
    NO_DATASET,
    TOKENS_HUGE,
    TOKENS_OTHER,
    INDEX_TOO_LARGE,
    VOCAB_ZERO,
    VOCAB_HUGE,
    BYTES_FEW,
    DIGEST_NO_HEX,
    SPLIT_LONG,
    FORMAT_OTHER,
    ATTRIBUTE_MISSING,
    CRIMES
};
static const char *const NAMES_THE_CRIME[CRIMES] = {
    [SIGNED] = "expected another type",
    [WIDE] = "expected another type",
    [OTHER_ORDER] = "expected another type",
    [TWO_DIMENSIONS] = "expected one dimension",
    [SCALAR] = "its storage does not have the size",
    [EMPTY] = "empty",
    [LINK] = "not a link",
    [SOFT_LINK] = "not a link",
    [GROUP] = "not a dataset",
    [EXTERNAL] = "that is stored in this file",
    [VIRTUAL] = "expected a contiguous or chunked dataset",
    [COMPACT] = "expected a contiguous or chunked dataset",
    [CHUNK_MISSING] = "chunks are missing",
    [NO_STORAGE] = "its storage does not have the size",
    [HUGE_CHUNK] = "expected chunks of at most",
    [OTHER_FILTER] = "no filters but",
    [ID_TOO_LARGE] = "has id 100, but vocab_size is 100",
    [OTHER_DIGEST] = "/tokens does not match sha256",
    [NO_DATASET] = "/tokens: missing",
    [TOKENS_HUGE] = "cannot stand for",
    [TOKENS_OTHER] = "/tokens: 1000 elements, expected 999",
    [INDEX_TOO_LARGE] = "expected index < count <= 99999, got index 1, count 1",
    [VOCAB_ZERO] = "vocab_size 0: expected 1 to",
    [VOCAB_HUGE] = "vocab_size 18446744073709551615: expected 1 to",
    [BYTES_FEW] = "1000 tokens cannot stand for 999 bytes",
    [DIGEST_NO_HEX] = "is not a SHA-256",
    [SPLIT_LONG] = "attribute split: \"a-split-with-a-long-name…\" is too long",
    [FORMAT_OTHER] = "shard format 7; this handgrad reads 1",
    [ATTRIBUTE_MISSING] = "attribute corpus is missing",
};

static void forge_tokens(hid_t root, enum crime crime)
{
    enum { N = 1000 };
    uint16_t tokens[N];
    for (size_t i = 0; i < N; i++)
        tokens[i] = (uint16_t)(i % 100);
    if (crime == ID_TOO_LARGE)
        tokens[N / 2] = 100;
    hid_t type = H5T_STD_U16LE;
    if (crime == SIGNED)
        type = H5T_STD_I16LE;
    if (crime == WIDE)
        type = H5T_STD_U32LE;
    if (crime == OTHER_ORDER)
        type = H5T_STD_U16BE;
    const char *name = crime == SOFT_LINK ? "real" : "tokens";
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(1, (hsize_t[]){crime == EMPTY ? 0 : N}, (hsize_t[]){N});
    if (crime == TWO_DIMENSIONS || crime == SCALAR) {
        H5Sclose(space);
        space =
            crime == SCALAR ? H5Screate(H5S_SCALAR) : H5Screate_simple(2, (hsize_t[]){N, 1}, NULL);
    }
    if (crime == EXTERNAL)
        H5Pset_external(create, "/etc/passwd", 0, N * 2);
    if (crime == COMPACT)
        H5Pset_layout(create, H5D_COMPACT);
    if (crime == CHUNK_MISSING || crime == OTHER_FILTER)
        H5Pset_chunk(create, 1, (hsize_t[]){100});
    if (crime == EMPTY)
        H5Pset_chunk(create, 1, (hsize_t[]){10});
    if (crime == OTHER_FILTER)
        H5Pset_scaleoffset(create, H5Z_SO_INT, 0);
    if (crime == HUGE_CHUNK) {
        H5Sclose(space);
        space = H5Screate_simple(1, (hsize_t[]){N}, (hsize_t[]){H5S_UNLIMITED});
        H5Pset_chunk(create, 1, (hsize_t[]){1 << 22});
    }
    if (crime == VIRTUAL)
        H5Pset_virtual(create, space, "other.h5", "/tokens", space);
    const hid_t d = H5Dcreate2(root, name, type, space, H5P_DEFAULT, create, H5P_DEFAULT);
    if (crime == CHUNK_MISSING) {
        H5Sselect_hyperslab(space, H5S_SELECT_SET, (hsize_t[]){0}, NULL, (hsize_t[]){300}, NULL);
        H5Dwrite(d, H5T_NATIVE_UINT16, space, space, H5P_DEFAULT, tokens);
    } else if (crime != EXTERNAL && crime != VIRTUAL && crime != SCALAR && crime != NO_STORAGE &&
               crime != EMPTY)
        ck_assert(H5Dwrite(d, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT, tokens) >= 0);
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(create);
    if (crime == SOFT_LINK)
        H5Lcreate_soft("/real", root, "tokens", H5P_DEFAULT, H5P_DEFAULT);
}

static void forge(const char *path, enum crime crime)
{
    struct h5_image image;
    OK(h5_image_create(&image, path, &err));
    const hid_t f = image.file;
    OK(h5_write_u64(f, "format", crime == FORMAT_OTHER ? 7 : 1, path, &err));
    OK(h5_write_string(f, "split", crime == SPLIT_LONG ? "a-split-with-a-long-name" : "train", path,
                       &err));
    OK(h5_write_u64(f, "index", crime == INDEX_TOO_LARGE, path, &err));
    OK(h5_write_u64(f, "count", 1, path, &err));
    OK(h5_write_string(f, "tokenizer_kind", "char", path, &err));
    OK(h5_write_string(f, "tokenizer_fingerprint", HEX, path, &err));
    OK(h5_write_u64(f, "vocab_size",
                    crime == VOCAB_ZERO   ? 0
                    : crime == VOCAB_HUGE ? UINT64_MAX
                                          : 100,
                    path, &err));
    if (crime != ATTRIBUTE_MISSING)
        OK(h5_write_string(f, "corpus", HEX, path, &err));
    OK(h5_write_u64(f, "tokens",
                    crime == TOKENS_HUGE    ? UINT64_MAX
                    : crime == TOKENS_OTHER ? 999
                                            : 1000,
                    path, &err));
    OK(h5_write_u64(f, "bytes", crime == BYTES_FEW ? 999 : 1000, path, &err));
    OK(h5_write_string(f, "sha256", crime == DIGEST_NO_HEX ? "abc" : HEX, path, &err));
    OK(h5_write_string(f, "sources", "[]", path, &err));
    if (crime == LINK)
        H5Lcreate_external("/etc/passwd", "/x", f, "tokens", H5P_DEFAULT, H5P_DEFAULT);
    else if (crime == GROUP)
        H5Gclose(H5Gcreate2(f, "tokens", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    else if (crime != NO_DATASET)
        forge_tokens(f, crime);
    OK(h5_image_finish(&image, path, &err));
    write_file(path, image.bytes, image.size);
    h5_image_free(&image);
}

START_TEST(hostile_files)
{
    enter_folder();
    for (enum crime crime = NONE; crime < CRIMES; crime++) {
        char name[32];
        snprintf(name, sizeof name, "%d.h5", (int)crime);
        const char *path = in_folder(name);
        h5_lock();
        forge(path, crime);
        h5_unlock();
        struct shard *s = shard_open(path, 1 << 20, &err);
        uint32_t tokens[1000];
        int status = s ? 0 : -1;
        if (s && crime == OTHER_DIGEST)
            status = shard_verify(s, &err);
        else if (s)
            status = shard_read(s, 0, 1000, tokens, &err);
        if (crime == NONE)
            ck_assert_msg(status == 0, "%s", err.text);
        else
            ck_assert_msg(status != 0 && strstr(err.text, NAMES_THE_CRIME[crime]) &&
                              strstr(err.text, path),
                          "%d: %s", (int)crime, status ? err.text : "taken");
        shard_close(s);
    }
    ck_assert(nothing_open());
}
END_TEST

/* A flipped bit anywhere is found when the file is verified, or does not matter; in the packed
 * tokens reading them finds it. */
START_TEST(damaged_files)
{
    enter_folder();
    enum { N = 2 * CHUNK + 100 };
    const char *path = in_folder("train-00000.h5");
    uint32_t *tokens = random_tokens(N, 20), *back = malloc(N * sizeof *back);
    write_shard(path, tokens, N, 20);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    size_t found = 0, rounds = 0;
    for (size_t i = 0; i < (size_t)st.st_size;
         i += sweep(20) * (1 + random_below(i < 6000 ? 12 : 80)), rounds++) {
        const unsigned char bit = (unsigned char)(1 << random_below(8));
        flip_bits(path, i, bit);
        struct shard *s = shard_open(path, 0, &err);
        int status = s ? shard_read(s, 0, N, back, &err) : -1;
        EXPECT_MSG(status != 0 || memcmp(back, tokens, N * sizeof *back) == 0,
                   "byte %zu: other tokens, and no error", i);
        if (status == 0)
            shard_verify(s, &err);
        EXPECT(strstr(err.text, path) == err.text || status == 0);
        found += status != 0;
        shard_close(s);
        flip_bits(path, i, bit);
    }
    ck_assert_msg(found > rounds / 2, "%zu of %zu", found, rounds);
    for (off_t cut = st.st_size - 1; cut > 0; cut -= 1 + (off_t)random_below(2000)) {
        ck_assert_int_eq(truncate(path, cut), 0);
        EXPECT(!shard_open(path, 0, &err));
    }
    free(tokens), free(back);
    ck_assert(nothing_open());
}
END_TEST

SUITE("data/shard", tokens_come_back, the_file_itself, bad_tokens_are_not_written, names,
      hostile_files, damaged_files)
