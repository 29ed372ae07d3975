/* damage.c: cuts a small checkpoint and a small shard at every offset, and flips the bits of every
 * byte, one at a time. A reader must either refuse the file or read what was written; anything else
 * is a wrong load. Crashes of libhdf5 are contained by the sandbox and counted separately. A crash
 * of our own code ends this program and counts as a failure.
 *
 *     damage CHECKPOINT SHARD [BITS]      BITS of each byte, at most 8
 *
 * The control flips bits of the weights and corrects all checksums, as an attacker would. Nothing
 * can detect that. */
#include "data/hdf5/h5_read.h"
#include "data/shard.h"
#include "tests/seal.h"
#include "train/checkpoint/checkpoint.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct bytes {
    unsigned char *at;
    size_t n;
};

struct count {
    size_t tried, refused, same, wrong, crashed;
};

static struct bytes slurp(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct bytes b = {0};
    if (!f || fseek(f, 0, SEEK_END))
        exit(2);
    b.n = (size_t)ftell(f);
    b.at = malloc(b.n + 1);
    rewind(f);
    if (fread(b.at, 1, b.n, f) != b.n)
        exit(2);
    fclose(f);
    return b;
}

static void spill(const char *path, const unsigned char *at, size_t n)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, at, n) != (ssize_t)n || close(fd))
        exit(2);
}

/* Returns what was read, as bytes to compare; NULL if the file was refused. */
typedef unsigned char *reader(const char *path, size_t *n, struct error *err);

static unsigned char *read_shard(const char *path, size_t *n, struct error *err)
{
    struct shard *s = shard_open(path, 1 << 20, err);
    const size_t tokens = s ? shard_get_info(s)->tokens : 0;
    uint32_t *all = s ? calloc(tokens + 64, sizeof *all) : NULL;
    if (s && shard_read(s, 0, tokens, all + 64, err) == 0) {
        const struct shard_info *i = shard_get_info(s);
        snprintf((char *)all, 256, "%s %s %s %llu %llu %llu", i->split, i->corpus,
                 i->tokenizer_fingerprint, (unsigned long long)i->vocab_size,
                 (unsigned long long)i->index, (unsigned long long)i->bytes);
    } else {
        free(all);
        all = NULL;
    }
    shard_close(s);
    *n = (tokens + 64) * sizeof *all;
    return (unsigned char *)all;
}

static unsigned char *read_checkpoint(const char *path, size_t *n, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    if (!f)
        return NULL;
    *n = c.tensors->total * sizeof(float) + sizeof c.state;
    unsigned char *all = calloc(1, *n);
    memcpy(all, &c.state, sizeof c.state);
    if (checkpoint_read(f, "params", (float *)(void *)(all + sizeof c.state), err)) {
        free(all);
        all = NULL;
    }
    checkpoint_close(f);
    return all;
}

static void try(struct count *c, reader *read, const char *path, struct bytes expected)
{
    struct error err = {""};
    size_t n = 0;
    unsigned char *got = read(path, &n, &err);
    c->tried++;
    if (!got) {
        c->refused++;
        c->crashed += strstr(err.text, "crashed the sandboxed process") != NULL;
    } else if (n == expected.n && memcmp(got, expected.at, n) == 0)
        c->same++;
    else
        c->wrong++;
    free(got);
}

static struct count flips(struct bytes b, reader *read, const char *path, struct bytes expected,
                          unsigned bits)
{
    struct count c = {0};
    for (size_t i = 0; i < b.n; i++)
        for (unsigned k = 0; k < bits; k++) {
            const unsigned bit = (k + (unsigned)i) % 8;
            b.at[i] ^= (unsigned char)(1u << bit);
            spill(path, b.at, b.n);
            try(&c, read, path, expected);
            b.at[i] ^= (unsigned char)(1u << bit);
        }
    return c;
}

/* Corrects the line "CRC32  params/NAME" of a tensor and the user block. */
static void correct_checksums(struct bytes b, struct h5_node table, struct h5_node tensor,
                              const char *name)
{
    char line[128], crc[9];
    const int n = snprintf(line, sizeof line, "  params/%s\n", name);
    unsigned char *at = memmem(b.at + table.entry->offset, table.entry->size, line, (size_t)n);
    if (!at)
        exit(2);
    snprintf(crc, sizeof crc, "%08x",
             (unsigned)crc32_z(0, b.at + tensor.entry->offset, tensor.entry->size));
    memcpy(at - 8, crc, 8);
    seal(b.at, b.n, 0);
}

/* Flips a bit of every step-th byte of the weights. */
static struct count flips_with_checksums(struct bytes b, const char *path, struct bytes expected,
                                         size_t step)
{
    struct count c = {0};
    struct error err;
    struct checkpoint parts;
    struct h5_node params, table, tensor;
    spill(path, b.at, b.n);
    struct checkpoint_file *f = checkpoint_open(path, &parts, &err);
    struct h5_reader *r = h5_open_bytes(b.at, b.n, path, &err);
    if (!f || !r || !h5_group(h5_root(r), "params", &params) ||
        !h5_member(h5_root(r), "crc32", &table))
        exit(2);
    for (size_t t = 0; t < parts.tensors->count; t++) {
        const char *name = parts.tensors->list[t].name;
        if (!h5_member(params, name, &tensor))
            exit(2);
        for (size_t i = 0; i < tensor.entry->size; i += step) {
            unsigned char *byte = b.at + tensor.entry->offset + i;
            *byte ^= (unsigned char)(1u << i / step % 8);
            correct_checksums(b, table, tensor, name);
            spill(path, b.at, b.n);
            try(&c, read_checkpoint, path, expected);
            *byte ^= (unsigned char)(1u << i / step % 8);
        }
        correct_checksums(b, table, tensor, name);
    }
    h5_close(r);
    checkpoint_close(f);
    return c;
}

static struct count cuts(struct bytes b, reader *read, const char *path, struct bytes expected,
                         size_t step)
{
    struct count c = {0};
    for (size_t n = 0; n < b.n; n += step) {
        spill(path, b.at, n);
        try(&c, read, path, expected);
    }
    return c;
}

static int report(const char *what, struct count c, int good)
{
    printf("%s - %s: %zu tried, %zu refused, %zu read as written, %zu wrong loads, %zu crashes "
           "in the sandbox\n",
           good ? "ok" : "not ok", what, c.tried, c.refused, c.same, c.wrong, c.crashed);
    fflush(stdout);
    return !good;
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    const unsigned bits = argc > 3 ? (unsigned)atoi(argv[3]) : 8;
    char path[4096];
    int failed = 0;
    static reader *const READERS[] = {read_checkpoint, read_shard};
    static const char *const NAMES[] = {"checkpoint", "shard"};
    for (int i = 0; i < 2; i++) {
        struct error err;
        char what[64];
        snprintf(path, sizeof path, "%s.damaged", argv[1 + i]);
        struct bytes b = slurp(argv[1 + i]), expected = {0};
        expected.at = READERS[i](argv[1 + i], &expected.n, &err);
        if (!expected.at)
            return printf("not ok - %s\n", err.text), 1;
        snprintf(what, sizeof what, "%s, %u bits of every byte flipped", NAMES[i], bits);
        struct count c = flips(b, READERS[i], path, expected, bits);
        failed += report(what, c, c.wrong == 0 && (i == 1 || c.refused == c.tried));
        snprintf(what, sizeof what, "%s, cut at every offset", NAMES[i]);
        c = cuts(b, READERS[i], path, expected, bits < 8 && i ? 7 : 1);
        failed += report(what, c, c.wrong == 0 && c.refused == c.tried);
        if (i == 0) {
            c = flips_with_checksums(b, path, expected, bits < 8 ? 31 : 1);
            failed += report("control: flips with corrected checksums are wrong loads", c,
                             c.wrong > c.tried / 2);
        }
        unlink(path);
        free(b.at), free(expected.at);
    }
    return failed ? 1 : 0;
}
