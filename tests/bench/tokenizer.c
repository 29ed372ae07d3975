/* tokenizer.c: measures how fast a tokenizer encodes a text in memory, with one thread and with
 * all.
 *
 *     tokenizer TOKENIZER TEXT */
#include "data/corpus/encoder.h"
#include "data/tokenizer/bpe_files.h"
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int count(void *context, const uint32_t *ids, size_t n, struct error *err)
{
    (void)ids, (void)err;
    *(size_t *)context += n;
    return 0;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double encode(const struct tokenizer *t, const char *text, size_t n, int threads,
                     size_t *tokens, struct error *err)
{
    const struct encoder_config c = {t, "", 0, false, count, tokens};
    const double begin = seconds();
    *tokens = 0;
    omp_set_num_threads(threads);
    struct encoder *e = encoder_create(&c, err);
    if (!e || pretokenizer_append(encoder_input(e), text, n, err) != 0 ||
        encoder_finish(e, err) != 0) {
        fprintf(stderr, "%s\n", err->text);
        exit(1);
    }
    encoder_destroy(e);
    return seconds() - begin;
}

static int compare(const void *a, const void *b)
{
    return *(const double *)a < *(const double *)b ? -1 : 1;
}

int main(int argc, char **argv)
{
    struct error err;
    struct tokenizer *t = argc == 3 ? tokenizer_load_any(argv[1], NULL, &err) : NULL;
    FILE *f = t ? fopen(argv[2], "rb") : NULL;
    if (!f)
        return fprintf(stderr, "usage: tokenizer TOKENIZER TEXT\n"), 2;
    fseek(f, 0, SEEK_END);
    const size_t n = (size_t)ftell(f);
    rewind(f);
    char *text = malloc(n + 1);
    if (!text || fread(text, 1, n, f) != n)
        return 1;
    fclose(f);
    const int all = omp_get_max_threads();
    for (int threads = 1;; threads = all) {
        double s[5];
        size_t tokens;
        for (int i = 0; i < 5; i++)
            s[i] = encode(t, text, n, threads, &tokens, &err);
        qsort(s, 5, sizeof *s, compare);
        printf("%d thread%s: %zu tokens, %.3f s, %.1f MB/s\n", threads, threads == 1 ? "" : "s",
               tokens, s[2], (double)n / s[2] / 1e6);
        if (threads == all)
            break;
    }
    free(text);
    tokenizer_destroy(t);
    return 0;
}
