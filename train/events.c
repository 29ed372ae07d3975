/* events.c: see events.h. A file is a sequence of records (TensorFlow's TFRecord), little-endian:
 *
 *     uint64 length, uint32 mask(crc32c(length)), bytes, uint32 mask(crc32c(bytes))
 *
 * Each record is a protobuf message Event (tensorflow/core/util/event.proto and
 * framework/summary.proto). These fields are written:
 *
 *     Event            1 wall_time (double)  2 step (int64)  3 file_version (string)
 *                      5 summary (Summary)  7 session_log (SessionLog)
 *     Summary          1 value, repeated: 1 tag (string)  2 simple_value (float)
 *                                         5 histo (HistogramProto)
 *     HistogramProto   1 min  2 max  3 num  4 sum  5 sum_squares (double)
 *                      6 bucket_limit  7 bucket (packed doubles)
 *     SessionLog       1 status; START (1) makes the events of its step and later steps void
 */
#include "train/events.h"
#include "base/append.h"
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "numbers are written as they are in memory");

/* --- protobuf --- */

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void put_varint(FILE *f, uint64_t x)
{
    for (; x >= 0x80; x >>= 7)
        putc((x & 0x7F) | 0x80, f);
    putc(x, f);
}

static void put_tag(FILE *f, unsigned field, unsigned type)
{
    put_varint(f, field << 3 | type);
}

static void put_double(FILE *f, unsigned field, double x)
{
    put_tag(f, field, FIXED64);
    fwrite(&x, sizeof x, 1, f);
}

static void put_bytes(FILE *f, unsigned field, const void *bytes, size_t n)
{
    put_tag(f, field, BYTES);
    put_varint(f, n);
    fwrite(bytes, 1, n, f);
}

/* The size of put_bytes. Fields have one byte. */
static size_t bytes_size(size_t n)
{
    size_t size = 2 + n;
    for (; n >= 0x80; n >>= 7)
        size++;
    return size;
}

/* --- the file --- */

uint32_t crc32c(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78 : 0);
    }
    return ~crc;
}

/* Appends the checksum of n bytes to them, masked because a CRC of data that contains CRCs is
 * weak. */
static void append_crc(char *bytes, size_t n)
{
    const uint32_t crc = crc32c(bytes, n), masked = (crc >> 15 | crc << 17) + 0xa282ead8;
    memcpy(bytes + n, &masked, sizeof masked);
}

/* A record under construction. */
struct record {
    char *bytes;
    size_t size;
    FILE *f;
};

enum { HEAD = 12, TAIL = 4 }; /* bytes of a record around its event */

/* Begins a record with an event of the step, to which the caller adds fields. */
static bool begin(const struct events *e, struct record *r, uint64_t step)
{
    struct timespec now;
    if (!e->path || !(r->f = open_memstream(&r->bytes, &r->size)))
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    fprintf(r->f, "%*s", HEAD, "");
    put_double(r->f, 1, now.tv_sec + 1e-9 * now.tv_nsec);
    put_tag(r->f, 2, VARINT);
    put_varint(r->f, step);
    return true;
}

static void end(struct events *e, struct record *r)
{
    fprintf(r->f, "%*s", TAIL, "");
    if (!fclose(r->f)) {
        const uint64_t length = r->size - HEAD - TAIL;
        memcpy(r->bytes, &length, sizeof length);
        append_crc(r->bytes, sizeof length);
        append_crc(r->bytes + HEAD, length);
        const bool failed = append_whole(e->fd, &e->end, r->bytes, r->size) != 0;
        if (failed && !e->failing)
            fprintf(stderr, "handgrad: %s: %s; events are lost, training continues\n", e->path,
                    strerror(errno));
        e->failing = failed;
    }
    free(r->bytes);
}

void events_restart(struct events *e, uint64_t step)
{
    static const char start[] = {1 << 3 | VARINT, 1}; /* SessionLog: status START */
    struct record r;
    if (!begin(e, &r, step + 1))
        return;
    put_bytes(r.f, 7, start, sizeof start);
    end(e, &r);
}

int events_open(struct events *e, const char *run_dir, uint64_t step, struct error *err)
{
    static const char version[] = "brain.Event:2";
    struct record r;
    *e = (struct events){0};
    if (asprintf(&e->path, "%s/events.out.tfevents.%lld.handgrad.%d", run_dir,
                 (long long)time(NULL), getpid()) < 0) {
        e->path = NULL;
        return fail(err, "%s: out of memory for its events", run_dir);
    }
    e->fd = open(e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (e->fd < 0)
        return fail(err, "%s: %s", e->path, strerror(errno));
    if (begin(e, &r, 0)) {
        put_bytes(r.f, 3, version, sizeof version - 1);
        end(e, &r);
    }
    if (step)
        events_restart(e, step);
    return 0;
}

void events_close(struct events *e)
{
    if (e->path && e->fd >= 0)
        close(e->fd);
    free(e->path);
    *e = (struct events){0};
}

/* --- summaries --- */

/* Begins a value of a summary, to which the caller adds one field of `size` bytes. */
static void put_value(FILE *summary, const char *kind, const char *name, size_t size)
{
    char tag[96];
    const size_t n = snprintf(tag, sizeof tag, "%s%s", kind, name);
    put_tag(summary, 1, BYTES);
    put_varint(summary, bytes_size(n) + size);
    put_bytes(summary, 1, tag, n);
}

static void put_scalar(FILE *summary, const char *name, double x)
{
    const float rounded = x;
    if (!isfinite(x))
        return;
    put_value(summary, "", name, 1 + sizeof rounded);
    put_tag(summary, 2, FIXED32);
    fwrite(&rounded, sizeof rounded, 1, summary);
}

/* Four buckets per octave for each sign, from 2^-40 to 2^20. Smaller numbers are counted in the
 * middle bucket, larger ones in the outermost. */
enum { OCTAVES = 60, LOWEST = -40, SIDE = 4 * OCTAVES, BUCKETS = 2 * SIDE + 1 };

static int bucket_of(float x)
{
    const float a = fabsf(x);
    if (!(a >= 0x1p-40f))
        return SIDE;
    /* fminf before the cast, as infinity does not fit an int */
    const int side = fminf(floorf(4 * (log2f(a) - LOWEST)), SIDE - 1);
    return x > 0 ? SIDE + 1 + side : SIDE - 1 - side;
}

/* The upper edge of a bucket. */
static double bucket_limit(int i)
{
    return i == BUCKETS - 1 ? DBL_MAX
           : i < SIDE       ? -exp2(LOWEST + (SIDE - 1 - i) / 4.0)
                            : exp2(LOWEST + (i - SIDE) / 4.0);
}

/* Nothing is written for a tensor with an infinity or a NaN. */
static void put_histogram(FILE *summary, const char *kind, const char *name, const float *x,
                          size_t n)
{
    double counts[BUCKETS] = {0}, limits[BUCKETS], low = INFINITY, high = -INFINITY, sum = 0,
           squares = 0;
#pragma omp parallel for reduction(+ : counts, sum, squares) reduction(min : low)                  \
    reduction(max : high)
    for (size_t i = 0; i < n; i++) {
        counts[bucket_of(x[i])]++;
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    if (!isfinite(sum))
        return;
    int first = 0, last = BUCKETS - 1;
    while (first < last && !counts[first])
        first++;
    while (last > first && !counts[last])
        last--;
    for (int i = first; i <= last; i++)
        limits[i] = bucket_limit(i);
    const double fields[] = {low, high, n, sum, squares};
    const size_t buckets = (last - first + 1) * sizeof(double),
                 size = 5 * (1 + sizeof(double)) + 2 * bytes_size(buckets);
    put_value(summary, kind, name, bytes_size(size));
    put_tag(summary, 5, BYTES);
    put_varint(summary, size);
    for (unsigned i = 0; i < 5; i++)
        put_double(summary, i + 1, fields[i]);
    put_bytes(summary, 6, limits + first, buckets);
    put_bytes(summary, 7, counts + first, buckets);
}

/* The summary of the trainer's last step; allocated. NULL if out of memory. */
static char *summarise(const struct trainer *t, bool histograms, size_t *size)
{
    const struct step_metrics *m = &t->metrics;
    const struct tensors *tensors = t->model.tensors;
    char *bytes = NULL;
    FILE *f = open_memstream(&bytes, size);
    if (!f)
        return NULL;
    put_scalar(f, "loss/train", m->loss);
    if (t->state.val_step == m->step)
        put_scalar(f, "loss/val", t->state.val_loss);
    put_scalar(f, "lr", m->lr);
    put_scalar(f, "grad_norm", m->grad_norm);
    put_scalar(f, "tokens_per_s", m->tokens_per_s);
    put_scalar(f, "mfu", m->mfu);
    for (size_t k = 0; histograms && k < tensors->count; k++) {
        const struct tensor *x = &tensors->list[k];
        put_histogram(f, "weight/", x->name, t->model.params + x->offset, tensor_file_size(x));
        put_histogram(f, "grad/", x->name, t->model.grads + x->offset, tensor_file_size(x));
    }
    if (!fclose(f))
        return bytes;
    free(bytes);
    return NULL;
}

void events_step(struct events *e, const struct trainer *t, bool histograms)
{
    struct record r;
    size_t size;
    if (!begin(e, &r, t->metrics.step))
        return;
    char *summary = summarise(t, histograms, &size);
    if (summary)
        put_bytes(r.f, 5, summary, size);
    free(summary);
    end(e, &r);
}
