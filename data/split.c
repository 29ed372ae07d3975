/* split.c: see split.h. */
#include "data/split.h"
#include "base/digest.h"
#include "data/shard.h"
#include "data/tokenizer/tokenizer.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CACHE_BYTES = 64 << 20, MIN_CACHE_BYTES = 1 << 20 };

struct split {
    char *dir, *name;
    struct shard **shards;
    uint64_t *
        first; /* the token of the split that each shard begins with; first[n_shards] is their sum */
    size_t n_shards;
    uint64_t bytes, vocab_size;
    char fingerprint[DIGEST_HEX], tokenizer_fingerprint[DIGEST_HEX];
    uint64_t *begins; /* of documents, once they were asked for */
    struct documents documents;
};

/* How many shards the folder holds, going by the highest number: where one is missing, opening it says so. */
static int count_shards(struct split *s, struct error *err)
{
    DIR *d = opendir(s->dir);
    if (!d)
        return fail(err, "%s: %s", s->dir, strerror(errno));
    s->n_shards = 0;
    uint64_t index;
    for (const struct dirent *e; (e = readdir(d));)
        if (shard_parse_name(e->d_name, s->name, &index) && index >= s->n_shards)
            s->n_shards = index + 1;
    closedir(d);
    if (s->n_shards == 0)
        return fail(err, "%s: holds no shard of split %s (%s-00000.h5): has it been tokenized?",
                    s->dir, s->name, s->name);
    return 0;
}

/* What all shards of a split have in common. */
static int check_shard(const struct split *s, size_t i, const char *path, struct error *err)
{
    const struct shard_info *info = shard_get_info(s->shards[i]),
                            *first = shard_get_info(s->shards[0]);
    if (strcmp(info->split, s->name) != 0 || info->index != i)
        return fail(err, "%s: it says it is shard %llu of split %s", path,
                    (unsigned long long)info->index, info->split);
    if (strcmp(info->tokenizer_fingerprint, s->tokenizer_fingerprint) != 0)
        return fail(
            err, "%s: made with another tokenizer (%s %.12s…) than %s/tokenizer.h5 (%.12s…)", path,
            info->tokenizer_kind, info->tokenizer_fingerprint, s->dir, s->tokenizer_fingerprint);
    if (info->vocab_size != s->vocab_size)
        return fail(err, "%s: vocab_size is %llu, but the tokenizer's is %llu", path,
                    (unsigned long long)info->vocab_size, (unsigned long long)s->vocab_size);
    if (strcmp(info->corpus, first->corpus) != 0)
        return fail(err, "%s: from another text, or another run of tokenize, than %s-00000.h5",
                    path, s->name);
    if (info->count != s->n_shards)
        return fail(err, "%s: it says that %s has %llu shards, but %zu are there", path, s->name,
                    (unsigned long long)info->count, s->n_shards);
    return 0;
}

static int open_shards(struct split *s, struct error *err)
{
    s->shards = calloc(s->n_shards, sizeof *s->shards);
    s->first = calloc(s->n_shards + 1, sizeof *s->first);
    if (!s->shards || !s->first)
        return fail(err, "%s/%s: out of memory", s->dir, s->name);
    struct digest d;
    digest_init(&d);
    const size_t cache = CACHE_BYTES / s->n_shards;
    for (size_t i = 0; i < s->n_shards; i++) {
        char path[PATH_MAX];
        if (shard_path(path, s->dir, s->name, i, err) != 0 ||
            !(s->shards[i] =
                  shard_open(path, cache > MIN_CACHE_BYTES ? cache : MIN_CACHE_BYTES, err)) ||
            check_shard(s, i, path, err) != 0)
            return -1;
        const struct shard_info *info = shard_get_info(s->shards[i]);
        s->first[i + 1] = s->first[i] + info->tokens;
        s->bytes += info->bytes;
        digest_update(&d, info->sha256, strlen(info->sha256));
        if (info->has_documents)
            digest_update(&d, info->documents_sha256, strlen(info->documents_sha256));
    }
    digest_finish(&d, s->fingerprint);
    return 0;
}

/* tokenize writes tokenizer.h5 last: without it the shards may be half of a run. */
static int read_tokenizer(struct split *s, struct error *err)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/tokenizer.h5", s->dir) >= PATH_MAX)
        return fail(err, "%s: %s", s->dir, strerror(ENAMETOOLONG));
    struct tokenizer *t = tokenizer_load(path, err);
    if (!t)
        return -1;
    strcpy(s->tokenizer_fingerprint, tokenizer_fingerprint(t));
    s->vocab_size = tokenizer_vocab_size(t);
    tokenizer_destroy(t);
    return 0;
}

bool split_exists(const char *dir, const char *name)
{
    struct error ignored;
    struct split s = {.dir = (char *)dir, .name = (char *)name};
    return count_shards(&s, &ignored) == 0;
}

struct split *split_open(const char *dir, const char *name, struct error *err)
{
    struct split *s = calloc(1, sizeof *s);
    if (!s || !(s->dir = strdup(dir)) || !(s->name = strdup(name)))
        fail(err, "%s/%s: out of memory", dir, name);
    else if (count_shards(s, err) == 0 && read_tokenizer(s, err) == 0 && open_shards(s, err) == 0)
        return s;
    split_close(s);
    return NULL;
}

void split_close(struct split *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->shards && i < s->n_shards; i++)
        shard_close(s->shards[i]);
    free(s->shards);
    free(s->first);
    free(s->begins);
    free(s->dir);
    free(s->name);
    free(s);
}

/* Adds the documents of shard i, counted from the split's first token. */
static int add_documents(struct split *s, size_t i, struct error *err)
{
    const uint64_t n = shard_get_info(s->shards[i])->documents;
    uint64_t *begins;
    if (shard_read_documents(s->shards[i], &begins, err) != 0)
        return -1;
    struct documents *d = &s->documents;
    for (uint64_t k = 0; k < n; k++) {
        const uint64_t token = s->first[i] + begins[k];
        if (token > 0) /* the first is there already */
            s->begins[d->count++] = token;
    }
    free(begins);
    return 0;
}

const struct documents *split_documents(struct split *s, struct error *err)
{
    uint64_t n = 1;
    if (s->begins)
        return &s->documents;
    for (size_t i = 0; i < s->n_shards; i++) {
        const struct shard_info *info = shard_get_info(s->shards[i]);
        n += info->documents; /* at most its tokens, which are below 2^40 */
        if (!info->has_documents) {
            fail(err,
                 "%s/%s: its text was not divided into documents: see --document-separator and "
                 "--document-files of tokenize",
                 s->dir, s->name);
            return NULL;
        }
    }
    if (!(s->begins = calloc(n, sizeof *s->begins))) {
        fail(err, "%s/%s: out of memory for %llu documents", s->dir, s->name,
             (unsigned long long)n);
        return NULL;
    }
    s->documents = (struct documents){s->begins, 1, split_tokens(s)};
    for (size_t i = 0; i < s->n_shards; i++)
        if (add_documents(s, i, err) != 0) {
            free(s->begins);
            s->begins = NULL;
            return NULL;
        }
    return &s->documents;
}

int split_read_wrapped(struct split *s, uint64_t first, size_t n, uint32_t *tokens,
                       struct error *err)
{
    size_t i = 0;
    while (first >= s->first[i + 1])
        i++;
    while (n > 0) {
        const uint64_t left = s->first[i + 1] - first;
        const size_t m = n < left ? n : (size_t)left;
        if (shard_read(s->shards[i], first - s->first[i], m, tokens, err) != 0)
            return -1;
        tokens += m, n -= m;
        i = (i + 1) % s->n_shards;
        first = s->first[i];
    }
    return 0;
}

int split_read(struct split *s, uint64_t first, size_t n, uint32_t *tokens, struct error *err)
{
    const uint64_t total = split_tokens(s);
    if (first > total || n > total - first)
        return fail(err, "%s/%s: %zu tokens from %llu on, but it has %llu", s->dir, s->name, n,
                    (unsigned long long)first, (unsigned long long)total);
    return n == 0 ? 0 : split_read_wrapped(s, first, n, tokens, err);
}

const char *split_dir(const struct split *s)
{
    return s->dir;
}

const char *split_name(const struct split *s)
{
    return s->name;
}

uint64_t split_tokens(const struct split *s)
{
    return s->first[s->n_shards];
}

uint64_t split_bytes(const struct split *s)
{
    return s->bytes;
}

uint64_t split_vocab_size(const struct split *s)
{
    return s->vocab_size;
}

const char *split_fingerprint(const struct split *s)
{
    return s->fingerprint;
}

const char *split_tokenizer_fingerprint(const struct split *s)
{
    return s->tokenizer_fingerprint;
}
