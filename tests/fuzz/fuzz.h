/* fuzz.h: shared by the fuzz targets. A target is a file fuzz_NAME.c with LLVMFuzzerTestOneInput,
 * for libFuzzer and AFL++. It passes bytes to a reader and aborts if the result is inconsistent. */
#pragma once

#include "data/tokenizer/tokenizer.h"
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Returns a directory in memory for this process, below FUZZ_DIR if that is set. */
static inline const char *fuzz_dir(void)
{
    static char made[256];
    const char *in = getenv("FUZZ_DIR");
    if (!made[0]) {
        snprintf(made, sizeof made, "%s/handgrad-fuzz-XXXXXX", in ? in : "/dev/shm");
        if (!mkdtemp(made))
            abort();
    }
    return made;
}

/* A file in it that stays open. Replacing its bytes is faster than creating it again. */
struct fuzz_file {
    int fd;
    char path[256];
};

static inline const char *fuzz_write(struct fuzz_file *f, const char *name, const uint8_t *data,
                                     size_t size)
{
    if (!f->path[0]) {
        snprintf(f->path, sizeof f->path, "%s/%s", fuzz_dir(), name);
        f->fd = open(f->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    }
    if (f->fd < 0 || pwrite(f->fd, data, size, 0) != (ssize_t)size || ftruncate(f->fd, (off_t)size))
        abort();
    return f->path;
}

/* Returns a copy with a terminating zero, whose end the sanitizer checks. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    return text;
}

/* Aborts unless the ids of a text are valid and their bytes give the text. */
static inline void fuzz_round_trip(const struct tokenizer *t, const char *text, size_t length)
{
    struct error err;
    uint32_t *ids;
    size_t n, at = 0;
    if (tokenizer_encode(t, text, length, false, &ids, &n, &err) != 0)
        return;
    for (size_t i = 0; i < n; i++) {
        size_t bytes;
        if (ids[i] >= t->vocab_size)
            abort();
        const char *token = tokenizer_bytes(t, ids[i], &bytes);
        if (bytes > length - at || memcmp(token, text + at, bytes) != 0)
            abort();
        at += bytes;
    }
    if (at != length)
        abort();
    free(ids);
}

/* A vocabulary that was accepted must work. */
static inline void fuzz_bpe(struct bpe *b)
{
    struct error err;
    struct tokenizer *t = tokenizer_create_bpe(b, &err);
    if (t)
        fuzz_round_trip(t, "It was the best of times, 1859.\n", 32);
    tokenizer_destroy(t);
}
