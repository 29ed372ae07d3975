/* test_tokenizer.c: text comes back from its ids, and a tokenizer from its file, or not at all. */
#include "base/atomic.h"
#include "base/utf8.h"
#include "data/hdf5/h5.h"
#include "tests/data_fixture.h"

static int compare_u32(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static uint32_t random_code_point(void)
{
    static const uint32_t LIMITS[] = {0x80, 0x800, 0x10000, CODE_POINTS};
    uint32_t c;
    do
        c = (uint32_t)random_below(LIMITS[random_below(4)]);
    while (c >= 0xD800 && c <= 0xDFFF);
    return c;
}

/* n code points, ascending and distinct, of at most max. */
static size_t random_alphabet(uint32_t *c, size_t max)
{
    const size_t n = 1 + random_below(max);
    for (size_t i = 0; i < n; i++)
        c[i] = random_code_point();
    qsort(c, n, sizeof *c, compare_u32);
    size_t m = 1;
    for (size_t i = 1; i < n; i++)
        if (c[i] != c[m - 1])
            c[m++] = c[i];
    return m;
}

/* The text of ids, by tokenizer_bytes. */
static size_t decode(const struct tokenizer *t, const uint32_t *ids, size_t n, char *text)
{
    size_t length = 0, m;
    for (size_t i = 0; i < n; i++) {
        const char *bytes = tokenizer_bytes(t, ids[i], &m);
        memcpy(text + length, bytes, m);
        length += m;
    }
    return length;
}

START_TEST(bytes_come_back)
{
    struct tokenizer *t = tokenizer_create_byte(&err);
    ck_assert_str_eq(t->kind, "byte");
    ck_assert_uint_eq(t->vocab_size, 256);
    char text[300], back[300];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)i;
    uint32_t *ids;
    size_t n;
    OK(tokenizer_encode(t, text, sizeof text, false, &ids, &n, &err));
    ck_assert_uint_eq(n, sizeof text);
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(ids[i], (uint8_t)text[i]);
    ck_assert_uint_eq(decode(t, ids, n, back), sizeof text);
    ck_assert(memcmp(text, back, sizeof text) == 0);
    free(ids);
    OK(tokenizer_encode(t, "", 0, false, &ids, &n, &err));
    ck_assert_uint_eq(n, 0);
    free(ids);
    tokenizer_destroy(t);
}
END_TEST

START_TEST(random_unicode_comes_back)
{
    for (size_t round = 0; round < 300; round++) {
        uint32_t alphabet[400], *ids;
        const size_t size = random_alphabet(alphabet, 400), length = random_below(500);
        struct tokenizer *t = tokenizer_create_char(alphabet, size, &err);
        EXPECT_MSG(t, "%s", err.text);
        EXPECT(t->vocab_size == size);
        uint32_t expected[500];
        char text[2000], back[2000];
        size_t bytes = 0, n;
        for (size_t i = 0; i < length; i++) {
            expected[i] = (uint32_t)random_below(size);
            bytes += utf8_encode(alphabet[expected[i]], text + bytes);
        }
        EXPECT_MSG(tokenizer_encode(t, text, bytes, false, &ids, &n, &err) == 0, "%s", err.text);
        EXPECT(n == length && memcmp(ids, expected, n * sizeof *ids) == 0);
        EXPECT(decode(t, ids, n, back) == bytes && memcmp(text, back, bytes) == 0);
        free(ids);
        tokenizer_destroy(t);
    }
}
END_TEST

START_TEST(unknown_and_invalid_characters_are_named)
{
    const uint32_t alphabet[] = {'a', 'b', 0xE9};
    struct tokenizer *t = tokenizer_create_char(alphabet, 3, &err);
    uint32_t *ids, piece[8];
    size_t n;
    FAILS(tokenizer_encode(t, "abéx", 5, false, &ids, &n, &err),
          "byte 4: U+0078 \"x\" is not among the 3 symbols");
    ck_assert_ptr_null(ids);
    FAILS(tokenizer_encode(t, "aé€", 6, false, &ids, &n, &err), "byte 3: U+20AC \"€\"");
    FAILS(tokenizer_encode(t, "a\xFF", 2, false, &ids, &n, &err),
          "byte 1: 0xFF is not valid UTF-8");
    FAILS(tokenizer_encode(t, "ab\xC3", 3, false, &ids, &n, &err), "byte 2: the text ends inside");
    FAILS(tokenizer_encode(t, "a\xED\xA0\x80", 4, false, &ids, &n, &err),
          "byte 1: 0xED is not valid");
    FAILS(tokenizer_encode_piece(t, "ax", 2, 1000, piece, &n, &err), "byte 1001: U+0078");
    OK(tokenizer_encode_piece(t, "baé", 4, 1000, piece, &n, &err));
    ck_assert(n == 3 && piece[0] == 1 && piece[1] == 0 && piece[2] == 2);
    tokenizer_destroy(t);
}
END_TEST

START_TEST(alphabets_that_are_none)
{
    FAILS(!tokenizer_create_char(NULL, 0, &err), "empty");
    FAILS(!tokenizer_create_char((uint32_t[]){5, 5}, 2, &err), "symbol 1, U+0005, is not above");
    FAILS(!tokenizer_create_char((uint32_t[]){5, 4}, 2, &err), "symbol 1");
    FAILS(!tokenizer_create_char((uint32_t[]){0xD800}, 1, &err),
          "U+D800, which is not a character");
    FAILS(!tokenizer_create_char((uint32_t[]){0, 0x110000}, 2, &err), "U+110000");
}
END_TEST

/* Equal exactly where the ids are. */
START_TEST(fingerprints)
{
    struct tokenizer *t[] = {tokenizer_create_byte(&err),
                             tokenizer_create_char((uint32_t[]){1, 2}, 2, &err),
                             tokenizer_create_char((uint32_t[]){1, 3}, 2, &err),
                             tokenizer_create_char((uint32_t[]){1}, 1, &err),
                             tokenizer_create_char((uint32_t[]){1, 0x102}, 2, &err)};
    struct tokenizer *same = tokenizer_create_char((uint32_t[]){1, 3}, 2, &err);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(strlen(t[i]->fingerprint), 64);
        ck_assert_int_eq(strcmp(t[i]->fingerprint, same->fingerprint) == 0, i == 2);
        for (size_t k = 0; k < i; k++)
            ck_assert_str_ne(t[i]->fingerprint, t[k]->fingerprint);
    }
    for (size_t i = 0; i < 5; i++)
        tokenizer_destroy(t[i]);
    tokenizer_destroy(same);
}
END_TEST

START_TEST(files_come_back)
{
    enter_folder();
    const char *path = in_folder("tokenizer.h5");
    for (size_t round = 0; round < 30; round++) {
        uint32_t alphabet[3000];
        const size_t n = random_alphabet(alphabet, round ? 3000 : 1);
        struct tokenizer *t =
            round == 1 ? tokenizer_create_byte(&err) : tokenizer_create_char(alphabet, n, &err);
        OK(tokenizer_save(t, path, &err));
        struct tokenizer *back = tokenizer_load(path, &err);
        ck_assert_msg(back, "%s", err.text);
        ck_assert_str_eq(t->kind, back->kind);
        ck_assert_str_eq(t->fingerprint, back->fingerprint);
        ck_assert_uint_eq(t->vocab_size, back->vocab_size);
        tokenizer_destroy(t);
        tokenizer_destroy(back);
    }
    FAILS(!tokenizer_load(in_folder("none.h5"), &err), "none.h5: No such file");
    ck_assert(nothing_open());
}
END_TEST

/* A tokenizer's group with any contents; fields that are NULL or 0 are omitted. */
struct forgery {
    const char *kind, *fingerprint;
    uint64_t format, vocab_size;
    hid_t type;
    size_t n, dimensions;
    const uint32_t *code_points;
    bool link;
    const char *expected;
};

static void forge(const struct forgery *f, const char *path)
{
    struct h5_image image;
    OK(h5_image_create(&image, path, &err));
    if (f->format)
        OK(h5_write_u64(image.file, "format", f->format, path, &err));
    if (f->kind)
        OK(h5_write_string(image.file, "kind", f->kind, path, &err));
    if (f->vocab_size)
        OK(h5_write_u64(image.file, "vocab_size", f->vocab_size, path, &err));
    OK(h5_write_string(image.file, "fingerprint", f->fingerprint ? f->fingerprint : "", path,
                       &err));
    if (f->link) {
        H5Lcreate_external("/etc/passwd", "/x", image.file, "code_points", H5P_DEFAULT,
                           H5P_DEFAULT);
    } else if (f->n) {
        const hid_t space = H5Screate_simple((int)f->dimensions, (hsize_t[]){f->n, 1}, NULL);
        const hid_t d = H5Dcreate2(image.file, "code_points", f->type, space, H5P_DEFAULT,
                                   H5P_DEFAULT, H5P_DEFAULT);
        if (f->code_points)
            H5Dwrite(d, H5T_NATIVE_UINT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, f->code_points);
        H5Dclose(d);
        H5Sclose(space);
    }
    OK(h5_image_finish(&image, path, &err));
    OK(atomic_write(path, image.bytes, image.size, &err));
    h5_image_free(&image);
}

START_TEST(hostile_files)
{
    enter_folder();
    h5_lock();
    static const uint32_t AB[] = {'a', 'b'}, BA[] = {'b', 'a'};
    struct tokenizer *ab = tokenizer_create_char(AB, 2, &err);
    char print[65];
    strcpy(print, ab->fingerprint);
    tokenizer_destroy(ab);
    const hid_t u32 = H5T_STD_U32LE;
    const struct forgery forgeries[] = {
        {"char", print, 1, 2, u32, 2, 1, AB, false, NULL}, /* the true one */
        {"char", print, 2, 2, u32, 2, 1, AB, false, "tokenizer format 2"},
        {NULL, print, 1, 2, u32, 2, 1, AB, false, "attribute kind is missing"},
        {"word", print, 1, 2, u32, 2, 1, AB, false, "kind \"word\": expected byte, char or bpe"},
        {"bpe", print, 1, 2, u32, 2, 1, AB, false, "attribute pattern is missing"},
        {"byte", print, 1, 2, u32, 2, 1, AB, false, "fingerprint does not match"},
        {"char", print, 1, 3, u32, 2, 1, AB, false, "/code_points: 2 elements, expected 3"},
        {"char", print, 1, UINT64_MAX, u32, 2, 1, AB, false,
         "/code_points: 2 elements, expected 18446744073709551615"},
        {"char", print, 1, 0, u32, 2, 1, AB, false, "attribute vocab_size is missing"},
        {"char", "", 1, 2, u32, 2, 1, AB, false, "fingerprint does not match"},
        {"char", print, 1, 2, u32, 2, 1, BA, false, "symbol 1, U+0061, is not above"},
        {"char", print, 1, 2, u32, 0, 1, NULL, false, "/code_points: missing"},
        {"char", print, 1, 2, H5T_STD_U32BE, 2, 1, AB, false, "expected another type"},
        {"char", print, 1, 2, H5T_STD_I32LE, 2, 1, AB, false, "expected another type"},
        {"char", print, 1, 2, H5T_IEEE_F32LE, 2, 1, AB, false, "expected another type"},
        {"char", print, 1, 2, u32, 2, 2, AB, false, "expected one dimension"},
        {"char", print, 1, 1 << 30, u32, 1 << 30, 1, NULL, false,
         "its storage does not have the size"},
        {"char", print, 1, 1000, u32, 1000, 1, NULL, false, "its storage does not have the size"},
        {"char", print, 1, 2, u32, 2, 1, AB, true, "not a link"},
    };
    const char *path = in_folder("t.h5");
    for (size_t i = 0; i < sizeof forgeries / sizeof *forgeries; i++) {
        forge(&forgeries[i], path);
        struct tokenizer *t = tokenizer_load(path, &err);
        if (!forgeries[i].expected)
            ck_assert_msg(t, "%s", err.text);
        else
            ck_assert_msg(!t && strstr(err.text, forgeries[i].expected), "%zu: %s", i,
                          t ? "taken" : err.text);
        tokenizer_destroy(t);
    }
    h5_unlock();
    ck_assert(nothing_open());
}
END_TEST

/* A flipped bit or a truncation is detected or has no effect. */
START_TEST(damaged_files)
{
    enter_folder();
    const char *path = in_folder("tokenizer.h5");
    uint32_t alphabet[80];
    const size_t n = random_alphabet(alphabet, 80);
    struct tokenizer *t = tokenizer_create_char(alphabet, n, &err);
    OK(tokenizer_save(t, path, &err));
    size_t size, taken = 0;
    free(read_file(path, &size));
    for (size_t i = 0; i < size; i += sweep(20)) {
        const unsigned char bit = (unsigned char)(1 << random_below(8));
        flip_bits(path, i, bit);
        struct tokenizer *back = tokenizer_load(path, &err);
        EXPECT_MSG(!back || strcmp(back->fingerprint, t->fingerprint) == 0, "byte %zu", i);
        taken += back != NULL;
        tokenizer_destroy(back);
        flip_bits(path, i, bit);
    }
    ck_assert_uint_lt(taken, size); /* the library leaves much of a small file unused */
    for (size_t cut = size - 1; cut > 7 * sweep(20); cut -= 7 * sweep(20)) {
        ck_assert_int_eq(truncate(path, (off_t)cut), 0);
        EXPECT_MSG(!tokenizer_load(path, &err), "cut to %zu bytes", cut);
    }
    tokenizer_destroy(t);
    ck_assert(nothing_open());
}
END_TEST

SUITE("data/tokenizer", bytes_come_back, random_unicode_comes_back,
      unknown_and_invalid_characters_are_named, alphabets_that_are_none, fingerprints,
      files_come_back, hostile_files, damaged_files)
