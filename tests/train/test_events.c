/* test_events.c: event files for TensorBoard, read by a decoder that follows the published format
 * only: TFRecord's framing and checksums, protobuf's wire types, the field numbers of Event and
 * Summary. */
#include "tests/test.h"
#include "train/events.h"
#include <float.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* RFC 3720, appendix B.4. */
START_TEST(crc_matches_the_rfc)
{
    unsigned char bytes[32];
    memset(bytes, 0, 32);
    ck_assert_uint_eq(crc32c(bytes, 32), 0x8A9136AA);
    memset(bytes, 0xFF, 32);
    ck_assert_uint_eq(crc32c(bytes, 32), 0x62A8AB43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    ck_assert_uint_eq(crc32c(bytes, 32), 0x46DD794E);
    ck_assert_uint_eq(crc32c("123456789", 9), 0xE3069283);
}
END_TEST

/* --- a decoder --- */

struct bytes {
    const unsigned char *p, *end;
};
struct field {
    unsigned number, type;
    uint64_t value; /* of a varint or a fixed one */
    struct bytes bytes;
};

static uint64_t little(const unsigned char *p, int n)
{
    uint64_t x = 0;
    for (int i = 0; i < n; i++)
        x |= (uint64_t)p[i] << 8 * i;
    return x;
}

static uint64_t varint(struct bytes *b)
{
    uint64_t x = 0;
    for (int shift = 0;; shift += 7) {
        ck_assert(b->p < b->end && shift < 64);
        x |= (uint64_t)(*b->p & 0x7F) << shift;
        if (!(*b->p++ & 0x80))
            return x;
    }
}

static bool next_field(struct bytes *b, struct field *f)
{
    if (b->p == b->end)
        return false;
    const uint64_t tag = varint(b);
    *f = (struct field){.number = (unsigned)(tag >> 3), .type = tag & 7};
    if (f->type == 0)
        f->value = varint(b);
    else {
        const uint64_t n = f->type == 1 ? 8 : f->type == 5 ? 4 : varint(b);
        ck_assert(f->type == 1 || f->type == 5 || f->type == 2);
        ck_assert_uint_le(n, (uint64_t)(b->end - b->p));
        f->bytes = (struct bytes){b->p, b->p + n};
        if (f->type != 2)
            f->value = little(b->p, (int)n);
        b->p += n;
    }
    return true;
}

static double as_double(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float as_float(uint64_t bits)
{
    const uint32_t low = (uint32_t)bits;
    float x;
    memcpy(&x, &low, sizeof x);
    return x;
}

static uint32_t masked(const void *p, size_t n)
{
    const uint32_t crc = crc32c(p, n);
    return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

/* Reads the next record and verifies its checksums. */
static bool next_record(struct bytes *file, struct bytes *record)
{
    if (file->p == file->end)
        return false;
    ck_assert_int_ge(file->end - file->p, 16);
    const uint64_t n = little(file->p, 8);
    ck_assert_uint_eq(little(file->p + 8, 4), masked(file->p, 8));
    ck_assert_uint_le(n, (uint64_t)(file->end - file->p - 16));
    *record = (struct bytes){file->p + 12, file->p + 12 + n};
    ck_assert_uint_eq(little(record->end, 4), masked(record->p, n));
    file->p = record->end + 4;
    return true;
}

static bool is(struct bytes b, const char *text)
{
    return (size_t)(b.end - b.p) == strlen(text) && !memcmp(b.p, text, strlen(text));
}

/* --- a run with one tensor --- */

enum { N = 100000 };
static void check_histogram(struct bytes message, const float *x, size_t n)
{
    struct field f;
    double numbers[6] = {0}, low = INFINITY, high = -INFINITY, sum = 0, squares = 0;
    struct bytes limits = {0}, counts = {0};
    while (next_field(&message, &f))
        if (f.number <= 5)
            numbers[f.number] = as_double(f.value);
        else if (f.number == 6)
            limits = f.bytes;
        else if (f.number == 7)
            counts = f.bytes;
    for (size_t i = 0; i < n; i++) {
        low = fmin(low, x[i]);
        high = fmax(high, x[i]);
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    ck_assert_double_eq(numbers[1], low);
    ck_assert_double_eq(numbers[2], high);
    ck_assert_double_eq(numbers[3], (double)n);
    ck_assert_double_le(fabs(numbers[4] - sum), 1e-9 * squares);
    ck_assert_double_le(fabs(numbers[5] - squares), 1e-9 * squares);
    ck_assert_int_eq(limits.end - limits.p, counts.end - counts.p);
    /* A bucket counts numbers up to its limit and above the previous one. It is chosen by a float
     * logarithm of up to 60, so an edge is exact to a relative 2^-19 ln 2 / 2, less than 1e-5. */
    double below = -INFINITY;
    for (; limits.p < limits.end; limits.p += 8, counts.p += 8) {
        const double limit = as_double(little(limits.p, 8)), slack = 1e-5 * fabs(limit);
        double least = 0, most = 0;
        ck_assert_double_gt(limit, below);
        for (size_t i = 0; i < n; i++) {
            least += x[i] > below + 1e-5 * fabs(below) && x[i] < limit - slack;
            most += x[i] >= below - 1e-5 * fabs(below) && x[i] <= limit + slack;
        }
        const double count = as_double(little(counts.p, 8));
        ck_assert_msg(count >= least && count <= most, "below %g: %g, expected %g to %g", limit,
                      count, least, most);
        below = limit;
    }
    ck_assert_double_ge(below * (1 + 1e-5), high);
}

static void remove_folder(const char *folder)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static struct bytes read_file(const char *folder)
{
    char pattern[128];
    glob_t g;
    snprintf(pattern, sizeof pattern, "%s/events.out.tfevents.*", folder);
    ck_assert_int_eq(glob(pattern, 0, NULL, &g), 0);
    ck_assert_uint_eq(g.gl_pathc, 1);
    FILE *f = fopen(g.gl_pathv[0], "r");
    globfree(&g);
    unsigned char *text = malloc(1 << 20);
    const size_t n = fread(text, 1, 1 << 20, f);
    fclose(f);
    return (struct bytes){text, text + n};
}

START_TEST(events_are_read_back)
{
    char dir[] = "/tmp/handgrad-events-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(dir));
    float *weights = malloc(N * sizeof *weights), *grads = malloc(N * sizeof *grads);
    for (size_t i = 0; i < N; i++) {
        weights[i] = (float)(sin((double)i) * pow(10, (double)(i % 30) - 20));
        grads[i] = i % 3 ? 0 : -(float)i;
    }
    struct tensor tensor = {.name = "wte.weight", .ndim = 2, .shape = {N / 10, 10}, .size = N};
    struct tensors tensors = {.count = 1, .total = N, .list = &tensor};
    struct trainer t = {
        .model = {.tensors = &tensors, .params = weights, .grads = grads},
        .state = {.step = 300, .val_step = 200, .val_loss = 7}, /* of an earlier step */
        .metrics = {.step = 300, .loss = 1.5, .lr = 0.25, .grad_norm = 2, .tokens_per_s = 1e5}};
    struct events e;
    struct error err;
    ck_assert_int_eq(events_open(&e, dir, 299, &err), 0);
    events_step(&e, &t, true);
    events_close(&e);

    const struct bytes all = read_file(dir);
    struct bytes file = all, record;
    struct field f, v;
    ck_assert(next_record(&file, &record)); /* the version is first */
    bool version = false;
    while (next_field(&record, &f))
        version |= f.number == 3 && is(f.bytes, "brain.Event:2");
    ck_assert(version);
    ck_assert(next_record(&file, &record)); /* the restart after step 299 */
    while (next_field(&record, &f))
        if (f.number == 2)
            ck_assert_uint_eq(f.value, 300);
        else if (f.number == 7)
            ck_assert(next_field(&f.bytes, &v) && v.number == 1 && v.value == 1);
    ck_assert(next_record(&file, &record));
    int seen = 0;
    while (next_field(&record, &f)) {
        if (f.number == 1)
            ck_assert_double_gt(as_double(f.value), 1.6e9);
        if (f.number == 2)
            ck_assert_uint_eq(f.value, 300);
        while (f.number == 5 && next_field(&f.bytes, &v)) {
            struct field tag, value;
            ck_assert_uint_eq(v.number, 1);
            ck_assert(next_field(&v.bytes, &tag) && tag.number == 1 &&
                      next_field(&v.bytes, &value));
            seen++;
            ck_assert(!is(tag.bytes, "loss/val"));
            if (is(tag.bytes, "loss/train"))
                ck_assert(value.number == 2 && as_float(value.value) == 1.5f);
            if (is(tag.bytes, "weight/wte.weight"))
                check_histogram(value.bytes, weights, N);
            if (is(tag.bytes, "grad/wte.weight"))
                check_histogram(value.bytes, grads, N);
        }
    }
    ck_assert_int_eq(seen, 7);
    ck_assert(!next_record(&file, &record));
    free((void *)all.p);
    free(weights);
    free(grads);
    remove_folder(dir);
}
END_TEST

/* A tensor with an infinity or a NaN gets no histogram; the others do. */
START_TEST(non_finite_tensors_have_no_histogram)
{
    static const float bad[] = {INFINITY, -INFINITY, (float)NAN};
    char folder[] = "/tmp/handgrad-events-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    float weights[] = {1, FLT_MAX, -FLT_MAX, FLT_TRUE_MIN}, grads[4] = {0};
    struct tensor tensor = {.name = "wte.weight", .ndim = 2, .shape = {2, 2}, .size = 4};
    struct tensors tensors = {.count = 1, .total = 4, .list = &tensor};
    struct trainer t = {.model = {.tensors = &tensors, .params = weights, .grads = grads}};
    struct events e;
    struct error err;
    ck_assert_int_eq(events_open(&e, folder, 0, &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        grads[3] = bad[i];
        events_step(&e, &t, true);
    }
    events_close(&e);

    const struct bytes all = read_file(folder);
    struct bytes file = all, record;
    struct field f, v, tag;
    int weight = 0, grad = 0;
    while (next_record(&file, &record))
        while (next_field(&record, &f))
            while (f.number == 5 && next_field(&f.bytes, &v)) {
                ck_assert(next_field(&v.bytes, &tag));
                weight += is(tag.bytes, "weight/wte.weight");
                grad += is(tag.bytes, "grad/wte.weight");
            }
    ck_assert_int_eq(weight, 3);
    ck_assert_int_eq(grad, 0);
    free((void *)all.p);
    remove_folder(folder);
}
END_TEST

START_TEST(closed_events_do_nothing)
{
    struct events e = {0};
    struct trainer t = {0};
    events_step(&e, &t, true);
    events_restart(&e, 1);
    events_close(&e);
}
END_TEST

SUITE("events", crc_matches_the_rfc, events_are_read_back, non_finite_tensors_have_no_histogram,
      closed_events_do_nothing)
