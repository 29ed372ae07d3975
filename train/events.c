/* events.c: see events.h. A file is a row of records, each with its length and two checksums (TensorFlow's TFRecord):
 *
 *     uint64 length, uint32 mask(crc32c(length)), bytes, uint32 mask(crc32c(bytes))     little-endian
 *
 * and each record is a protobuf message Event (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto). Of its
 * fields these are written, by their numbers:
 *
 *     Event      1 wall_time (double)  2 step (int64)  3 file_version (string)  5 summary (Summary)  7 session_log (SessionLog)
 *     Summary    1 value, repeated: 1 tag (string)  2 simple_value (float)  5 histo (HistogramProto)
 *     HistogramProto   1 min  2 max  3 num  4 sum  5 sum_squares (double)  6 bucket_limit  7 bucket (packed doubles)
 *     SessionLog       1 status (START = 1): at a step, it makes all that was written of that step and later ones void
 */
#include "train/events.h"
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- records --- */

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

static void put_little(FILE *f, uint64_t x, int bytes)
{
    for (int i = 0; i < bytes; i++)
        putc((int)(x >> 8 * i & 0xFF), f);
}

/* So that a checksum in data that is itself checksummed does no harm. */
static uint32_t mask(uint32_t crc)
{
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

/* --- protobuf --- */

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void put_varint(FILE *f, uint64_t x)
{
    for (; x >= 0x80; x >>= 7)
        putc((int)(x & 0x7F) | 0x80, f);
    putc((int)x, f);
}

static void put_tag(FILE *f, unsigned field, unsigned type)
{
    put_varint(f, field << 3 | type);
}

static void put_raw_double(FILE *f, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    put_little(f, bits, 8);
}

static void put_double(FILE *f, unsigned field, double x)
{
    put_tag(f, field, FIXED64);
    put_raw_double(f, x);
}

static void put_float(FILE *f, unsigned field, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    put_tag(f, field, FIXED32);
    put_little(f, bits, 4);
}

static void put_bytes(FILE *f, unsigned field, const void *bytes, size_t n)
{
    put_tag(f, field, BYTES);
    put_varint(f, n);
    fwrite(bytes, 1, n, f);
}

/* A message under construction; its bytes are freed when they are put into another. */
struct message {
    char *bytes;
    size_t size;
    FILE *f;
};

static bool begin(struct message *m)
{
    *m = (struct message){0};
    m->f = open_memstream(&m->bytes, &m->size);
    return m->f != NULL;
}

static void put_message(FILE *f, unsigned field, struct message *m)
{
    if (!fclose(m->f))
        put_bytes(f, field, m->bytes, m->size);
    free(m->bytes);
}

/* --- the file --- */

static void write_all(struct events *e, const char *bytes, size_t size)
{
    size_t done = 0;
    ssize_t n = 0;
    while (done < size &&
           ((n = pwrite(e->fd, bytes + done, size - done, e->end + (off_t)done)) > 0 ||
            (n < 0 && errno == EINTR)))
        done += n > 0 ? (size_t)n : 0;
    if (done == size)
        e->end += (off_t)size;
    else if (!e->failing)
        fprintf(stderr, "handgrad: %s: %s; events are lost, training goes on\n", e->path,
                n < 0 ? strerror(errno) : "cannot be written");
    e->failing = done < size;
    if (e->failing)
        (void)!ftruncate(e->fd, e->end);
}

/* An event of a step; what it is about stands in `content` already. */
static void write_event(struct events *e, uint64_t step, struct message *content)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct message event, record;
    const bool good = !fclose(content->f) && begin(&event);
    if (good) {
        put_double(event.f, 1, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec);
        put_tag(event.f, 2, VARINT);
        put_varint(event.f, step);
        fwrite(content->bytes, 1, content->size, event.f);
    }
    free(content->bytes);
    if (!good || fclose(event.f) || !begin(&record))
        return;
    const uint64_t length = event.size;
    put_little(record.f, length, 8);
    fflush(record.f);
    const uint32_t crc = crc32c(record.bytes, 8);
    put_little(record.f, mask(crc), 4);
    fwrite(event.bytes, 1, event.size, record.f);
    put_little(record.f, mask(crc32c(event.bytes, event.size)), 4);
    if (!fclose(record.f))
        write_all(e, record.bytes, record.size);
    free(event.bytes);
    free(record.bytes);
}

void events_restart(struct events *e, uint64_t step)
{
    struct message content, log;
    if (e->fd < 0 || !begin(&content))
        return;
    if (begin(&log)) {
        put_tag(log.f, 1, VARINT);
        put_varint(log.f, 1);
        put_message(content.f, 7, &log);
    }
    write_event(e, step + 1, &content);
}

int events_open(struct events *e, const char *run_dir, uint64_t step, struct error *err)
{
    static const char version[] = "brain.Event:2";
    struct message content;
    *e = (struct events){.fd = -1};
    if (asprintf(&e->path, "%s/events.out.tfevents.%lld.handgrad.%ld", run_dir,
                 (long long)time(NULL), (long)getpid()) < 0) {
        e->path = NULL;
        return fail(err, "%s: no memory for its events", run_dir);
    }
    e->fd = open(e->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (e->fd < 0)
        return fail(err, "%s: %s", e->path, strerror(errno));
    if (begin(&content)) {
        put_bytes(content.f, 3, version, sizeof version - 1);
        write_event(e, 0, &content);
    }
    if (step)
        events_restart(e, step);
    return 0;
}

void events_close(struct events *e)
{
    if (e->fd >= 0)
        close(e->fd);
    free(e->path);
    *e = (struct events){.fd = -1};
}

/* --- summaries --- */

static void put_scalar(FILE *summary, const char *tag, double x)
{
    struct message value;
    if (!isfinite(x) || !begin(&value))
        return;
    put_bytes(value.f, 1, tag, strlen(tag));
    put_float(value.f, 2, (float)x);
    put_message(summary, 1, &value);
}

/* Four buckets an octave on either side of zero, from 2^-40 to 2^20; what is smaller is in the middle, what is larger in the last. */
enum { OCTAVES = 60, LOWEST = -40, SIDE = 4 * OCTAVES, BUCKETS = 2 * SIDE + 1 };

static int bucket_of(float x)
{
    const float a = fabsf(x);
    if (!(a >= 0x1p-40f))
        return SIDE;
    const int side =
        (int)fminf(floorf(4 * (log2f(a) - LOWEST)), SIDE - 1); /* no int holds infinity */
    return x > 0 ? SIDE + 1 + side : SIDE - 1 - side;
}

/* The upper edge of a bucket. */
static double bucket_limit(int i)
{
    return i == BUCKETS - 1 ? DBL_MAX
           : i < SIDE       ? -exp2(LOWEST + (SIDE - 1 - i) / 4.0)
                            : exp2(LOWEST + (i - SIDE) / 4.0);
}

static void put_packed(FILE *f, unsigned field, const double *x, size_t n)
{
    put_tag(f, field, BYTES);
    put_varint(f, 8 * n);
    for (size_t i = 0; i < n; i++)
        put_raw_double(f, x[i]);
}

/* None of a tensor that holds infinity or NaN, whose sum says nothing. */
static void put_histogram(FILE *summary, const char *kind, const char *name, const float *x,
                          size_t n)
{
    double counts[BUCKETS] = {0}, limits[BUCKETS], low = INFINITY, high = -INFINITY, sum = 0,
           squares = 0;
#pragma omp parallel for reduction(+ : counts, sum, squares) reduction(min : low) reduction(max : high)
    for (size_t i = 0; i < n; i++) {
        counts[bucket_of(x[i])]++;
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    struct message value, histogram;
    if (!isfinite(sum) || !begin(&value))
        return;
    char tag[96];
    snprintf(tag, sizeof tag, "%s/%s", kind, name);
    put_bytes(value.f, 1, tag, strlen(tag));
    int first = 0, last = BUCKETS - 1;
    while (first < last && !counts[first])
        first++;
    while (last > first && !counts[last])
        last--;
    for (int i = first; i <= last; i++)
        limits[i] = bucket_limit(i);
    if (begin(&histogram)) {
        const double fields[] = {low, high, (double)n, sum, squares};
        for (unsigned i = 0; i < 5; i++)
            put_double(histogram.f, i + 1, fields[i]);
        put_packed(histogram.f, 6, limits + first, (size_t)(last - first + 1));
        put_packed(histogram.f, 7, counts + first, (size_t)(last - first + 1));
        put_message(value.f, 5, &histogram);
    }
    put_message(summary, 1, &value);
}

void events_step(struct events *e, const struct trainer *t, bool histograms)
{
    const struct step_metrics *m = &t->metrics;
    const double val_loss = t->state.val_step == m->step ? t->state.val_loss : (double)NAN;
    const struct {
        const char *tag;
        double x;
    } scalars[] = {{"loss/train", m->loss},
                   {"loss/val", val_loss},
                   {"lr", m->lr},
                   {"grad_norm", m->grad_norm},
                   {"tokens_per_s", m->tokens_per_s},
                   {"mfu", m->mfu}};
    struct message content, summary;
    if (e->fd < 0 || !begin(&content))
        return;
    if (begin(&summary)) {
        for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++)
            put_scalar(summary.f, scalars[i].tag, scalars[i].x);
        for (size_t k = 0; histograms && k < t->model.tensors->count; k++) {
            const struct tensor *x = &t->model.tensors->list[k];
            put_histogram(summary.f, "weight", x->name, t->model.params + x->offset,
                          tensor_file_size(x));
            put_histogram(summary.f, "grad", x->name, t->model.grads + x->offset,
                          tensor_file_size(x));
        }
        put_message(content.f, 5, &summary);
    }
    write_event(e, m->step, &content);
}
