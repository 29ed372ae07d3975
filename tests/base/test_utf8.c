/* test_utf8.c: the decoder against a plain oracle: all code points, all strings of up to three
 * bytes, random longer ones. */
#include "base/utf8.h"
#include "tests/data_fixture.h"

/* The oracle computes first and judges afterwards: length from the leading ones, value from the
 * bits, then the rules. Returns the length of the character at s, or 0. */
static size_t oracle_decode(const uint8_t *s, size_t n, uint32_t *code_point)
{
    static const uint32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t length = s[0] < 0x80             ? 1
                          : (s[0] & 0xE0) == 0xC0 ? 2
                          : (s[0] & 0xF0) == 0xE0 ? 3
                          : (s[0] & 0xF8) == 0xF0 ? 4
                                                  : 0;
    if (length == 0 || length > n)
        return 0;
    uint32_t c = length == 1 ? s[0] : s[0] & (0xFF >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3F);
    }
    *code_point = c;
    return c >= LEAST[length] && c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF) ? length : 0;
}

/* Whether more bytes could make a character of these n (1 … 3). All rules about continuations
 * change at these values. */
static bool oracle_can_go_on(const uint8_t *s, size_t n)
{
    static const uint8_t TRY[] = {0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF};
    uint8_t t[4];
    uint32_t c;
    memcpy(t, s, n);
    for (size_t i = 0; i < 6 * 6 * 6; i++) {
        for (size_t k = n, r = i; k < 4; k++, r /= 6)
            t[k] = TRY[r % 6];
        if (oracle_decode(t, 4, &c) > n)
            return true;
    }
    return false;
}

static size_t oracle_repair(const uint8_t *s, size_t n, char *out)
{
    size_t o = 0;
    for (size_t i = 0; i < n;) {
        uint32_t c;
        size_t m = oracle_decode(s + i, n - i, &c);
        if (m) {
            memcpy(out + o, s + i, m), o += m, i += m;
            continue;
        }
        for (m = 1;
             m < 3 && i + m < n && oracle_can_go_on(s + i, m) && oracle_can_go_on(s + i, m + 1);
             m++)
            ;
        memcpy(out + o, "\xEF\xBF\xBD", 3), o += 3, i += m;
    }
    return o;
}

/* Compares utf8_decode with the oracle. */
static void compare(const uint8_t *s, size_t n)
{
    uint32_t a = 0, b = 0;
    const size_t length = oracle_decode(s, n, &a);
    const int got = utf8_decode((const char *)s, n, &b);
    if (length)
        EXPECT_MSG(got == (int)length && a == b, "%02x…: %d", s[0], got);
    else
        EXPECT_MSG(got == (n < 4 && oracle_can_go_on(s, n) ? -1 : 0), "%02x %02x… of %zu: %d", s[0],
                   n > 1 ? s[1] : 0, n, got);
}

START_TEST(every_code_point)
{
    for (uint32_t c = 0; c < CODE_POINTS; c++) {
        char s[UTF8_MAX];
        uint32_t back;
        const size_t n = utf8_encode(c, s);
        EXPECT(n == (c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4));
        const bool surrogate = c >= 0xD800 && c <= 0xDFFF;
        EXPECT(utf8_decode(s, n, &back) == (surrogate ? 0 : (int)n));
        EXPECT(surrogate || back == c);
    }
}
END_TEST

START_TEST(every_short_string)
{
    for (uint32_t i = 0; i < 1 << 24; i++) {
        const uint8_t s[3] = {(uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        if (s[2] >= 0xF8 && s[2] != 0xFF) /* as good as 0xFF */
            continue;
        uint32_t c;
        if (s[2] == 0)
            compare(s, 2);
        if (s[1] == 0 && s[2] == 0)
            compare(s, 1);
        /* The oracle's search is slow: where the decoder says that a string is whole or wrong,
         * compare only that. */
        const int got = utf8_decode((const char *)s, 3, &c);
        if (got > 0 || (s[0] >= 0xE0 && s[0] <= 0xF4 && s[1] >= 0x80 && s[1] <= 0xBF))
            compare(s, 3);
    }
}
END_TEST

START_TEST(every_class_of_invalid_bytes)
{
    static const struct {
        const char *text;
        size_t n, replacements;
    } CASES[] = {
        {"\x80", 1, 1},                     /* a continuation with nothing to continue */
        {"\xBF\xBF", 2, 2},                 /* two */
        {"\xC0\xAF", 2, 2},                 /* overlong, two bytes */
        {"\xC1\xBF", 2, 2},                 /* the largest of them */
        {"\xE0\x80\xAF", 3, 3},             /* overlong, three */
        {"\xE0\x9F\xBF", 3, 3},             /* the largest of them */
        {"\xF0\x80\x80\xAF", 4, 4},         /* overlong, four */
        {"\xF0\x8F\xBF\xBF", 4, 4},         /* the largest of them */
        {"\xED\xA0\x80", 3, 3},             /* the first surrogate */
        {"\xED\xBF\xBF", 3, 3},             /* the last */
        {"\xF4\x90\x80\x80", 4, 4},         /* U+110000 */
        {"\xF5\x80\x80\x80", 4, 4},         /* leads that never occur */
        {"\xF8\x88\x80\x80\x80", 5, 5},     /* five bytes */
        {"\xFC\x84\x80\x80\x80\x80", 6, 6}, /* six */
        {"\xFE", 1, 1},
        {"\xFF", 1, 1},
        {"\xC3", 1, 1},         /* cut */
        {"\xE2\x82", 2, 1},     /* cut: one replacement for the maximal part */
        {"\xF0\x9F\x98", 3, 1}, /* cut */
        {"\xE2\x82(", 3, 1},    /* cut by another character, which stays */
        {"\xF0\x9F\xE2\x82\xAC", 5, 1},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char out[32], expected[32];
        const size_t n = utf8_repair(CASES[i].text, CASES[i].n, out);
        const size_t m = oracle_repair((const uint8_t *)CASES[i].text, CASES[i].n, expected);
        EXPECT_MSG(n == m && memcmp(out, expected, n) == 0, "case %zu", i);
        size_t replacements = 0;
        for (size_t k = 0; k + 2 < n; k++)
            replacements += memcmp(out + k, "\xEF\xBF\xBD", 3) == 0;
        EXPECT_MSG(replacements == CASES[i].replacements, "case %zu: %zu", i, replacements);
    }
}
END_TEST

/* Random bytes in which characters, and broken ones, are frequent. */
static size_t random_bytes(uint8_t *s, size_t size)
{
    static const uint8_t LEADS[] = {0xC2, 0xC3, 0xE0, 0xE2, 0xED, 0xEF,
                                    0xF0, 0xF1, 0xF4, 0xF5, 0xC0, 0xFF};
    const size_t n = random_below(size + 1);
    for (size_t i = 0; i < n; i++)
        switch (random_below(4)) {
        case 0:
            s[i] = (uint8_t)random_below(0x80);
            break;
        case 1:
            s[i] = LEADS[random_below(sizeof LEADS)];
            break;
        default:
            s[i] = (uint8_t)(0x80 + random_below(0x40));
        }
    return n;
}

START_TEST(repair_as_the_oracle)
{
    for (size_t round = 0; round < 20000; round++) {
        uint8_t s[24];
        char a[72], b[72];
        const size_t n = random_bytes(s, sizeof s);
        const size_t na = utf8_repair((char *)s, n, a), nb = oracle_repair(s, n, b);
        EXPECT(na == nb && memcmp(a, b, na) == 0);
        uint32_t c;
        for (size_t i = 0; i < na;) { /* the result is valid */
            const size_t m = oracle_decode((uint8_t *)a + i, na - i, &c);
            EXPECT(m != 0);
            i += m;
        }
    }
}
END_TEST

/* Printing what is complete as bytes come in gives the same as repairing all at once, however the
 * pieces are cut. */
START_TEST(pieces_as_the_whole)
{
    for (size_t round = 0; round < 20000; round++) {
        uint8_t s[40];
        char whole[120], pieces[120];
        const size_t n = random_bytes(s, sizeof s);
        size_t done = 0, out = 0;
        for (size_t end = 0; end < n;) {
            end += 1 + random_below(5);
            end = end < n ? end : n;
            const size_t m = utf8_complete((char *)s + done, end - done);
            EXPECT(end - done - m <= 3);
            out += utf8_repair((char *)s + done, m, pieces + out);
            done += m;
        }
        out += utf8_repair((char *)s + done, n - done, pieces + out);
        EXPECT(out == utf8_repair((char *)s, n, whole));
        EXPECT(memcmp(pieces, whole, out) == 0);
    }
}
END_TEST

/* Decoding character by character stops at the first invalid or incomplete sequence. */
START_TEST(decoding_finds_the_first_invalid_sequence)
{
    for (size_t round = 0; round < 20000; round++) {
        uint8_t s[24];
        const size_t n = random_bytes(s, sizeof s);
        size_t expected = 0, at = 0;
        uint32_t c;
        for (size_t m; expected < n && (m = oracle_decode(s + expected, n - expected, &c));
             expected += m)
            ;
        for (int m; at < n && (m = utf8_decode((char *)s + at, n - at, &c)) > 0; at += (size_t)m)
            ;
        EXPECT(at == expected);
    }
}
END_TEST

SUITE("data/utf8", every_code_point, every_short_string, every_class_of_invalid_bytes,
      repair_as_the_oracle, pieces_as_the_whole, decoding_finds_the_first_invalid_sequence)
