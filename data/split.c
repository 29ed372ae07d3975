/* split.c: see split.h. */
#include "data/split.h"
#include "base/minmax.h"
#include "data/shard.h"
#include "data/tokenizer/tokenizer.h"
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Of unpacked tokens: of all shards, and at least of each. */
enum { CACHE_BYTES = 64 << 20, MIN_CACHE_BYTES = 1 << 20 };

/* Counts shards by the highest number. If one is missing, opening it fails. */
static int count_shards(struct split *s, struct error *err)
{
    DIR *d = opendir(s->dir);
    if (!d)
        return fail(err, "%s: %s", s->dir, strerror(errno));
    uint64_t index;
    for (const struct dirent *e; (e = readdir(d));)
        if (shard_parse_name(e->d_name, s->name, &index))
            s->n_shards = size_max(s->n_shards, index + 1);
    closedir(d);
    return s->n_shards ? 0
                       : fail(err,
                              "%s: contains no shard of split %s (%s-00000.h5): was it made by "
                              "handgrad tokenize?",
                              s->dir, s->name, s->name);
}

/* Checks what all shards of a split have in common. */
static int check_shard(const struct split *s, size_t i, const char *path, struct error *err)
{
    const struct shard_info *info = shard_get_info(s->shards[i]),
                            *first = shard_get_info(s->shards[0]);
    if (strcmp(info->split, s->name) != 0 || info->index != i)
        return fail(err, "%s: contains shard %" PRIu64 " of split %s", path, info->index,
                    info->split);
    if (strcmp(info->tokenizer_fingerprint, s->tokenizer_fingerprint) != 0)
        return fail(
            err, "%s: made with another tokenizer (%s %.12s…) than %s/tokenizer.h5 (%.12s…)", path,
            info->tokenizer_kind, info->tokenizer_fingerprint, s->dir, s->tokenizer_fingerprint);
    if (info->vocab_size != s->vocab_size)
        return fail(err, "%s: vocab_size is %" PRIu64 ", but the tokenizer's is %" PRIu64, path,
                    info->vocab_size, s->vocab_size);
    if (strcmp(info->corpus, first->corpus) != 0)
        return fail(err, "%s: from another text, or another run of tokenize, than %s-00000.h5",
                    path, s->name);
    if (info->count != s->n_shards)
        return fail(err, "%s: one of %" PRIu64 " shards of %s, but %zu are present", path,
                    info->count, s->name, s->n_shards);
    return 0;
}

static int open_shards(struct split *s, struct error *err)
{
    const size_t cache = size_max(CACHE_BYTES / s->n_shards, MIN_CACHE_BYTES);
    struct digest d;
    digest_init(&d);
    s->shards = calloc(s->n_shards, sizeof *s->shards);
    s->first = calloc(s->n_shards + 1, sizeof *s->first);
    if (!s->shards || !s->first)
        return fail(err, "%s/%s: out of memory", s->dir, s->name);
    for (size_t i = 0; i < s->n_shards; i++) {
        char path[PATH_MAX];
        if (shard_path(path, s->dir, s->name, i, err) ||
            !(s->shards[i] = shard_open(path, cache, err)) || check_shard(s, i, path, err))
            return -1;
        const struct shard_info *info = shard_get_info(s->shards[i]);
        s->tokens = s->first[i + 1] = s->first[i] + info->tokens;
        s->bytes += info->bytes;
        s->n_documents += info->documents;
        digest_update(&d, info->sha256, strlen(info->sha256));
        if (info->has_documents)
            digest_update(&d, info->documents_sha256, strlen(info->documents_sha256));
    }
    digest_finish(&d, s->fingerprint);
    return 0;
}

/* tokenize writes tokenizer.h5 last: without it, the shards may be incomplete. */
static int read_tokenizer(struct split *s, struct error *err)
{
    struct tokenizer *t = tokenizer_load_any(s->dir, NULL, err);
    if (!t)
        return -1;
    strcpy(s->tokenizer_fingerprint, t->fingerprint);
    s->vocab_size = t->vocab_size;
    uint32_t end_of_text;
    s->documents.ended = tokenizer_end_of_text(t, &end_of_text);
    tokenizer_destroy(t);
    return 0;
}

bool split_exists(const char *dir, const char *name)
{
    return count_shards(&(struct split){.dir = (char *)dir, .name = (char *)name}, NULL) == 0;
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
    free(s->documents.begins);
    free(s->dir);
    free(s->name);
    free(s);
}

/* Adds the documents of shard i, as positions in the split. Token 0 has been added. */
static int add_documents(struct split *s, size_t i, struct error *err)
{
    const uint64_t n = shard_get_info(s->shards[i])->documents;
    struct documents *d = &s->documents;
    uint64_t *begins;
    if (shard_read_documents(s->shards[i], &begins, err))
        return -1;
    for (uint64_t k = 0; k < n; k++)
        if (s->first[i] + begins[k] > 0)
            d->begins[d->count++] = s->first[i] + begins[k];
    free(begins);
    return 0;
}

const struct documents *split_documents(struct split *s, struct error *err)
{
    struct documents *d = &s->documents;
    uint64_t n = 1;
    if (d->begins)
        return d;
    for (size_t i = 0; i < s->n_shards; i++) {
        const struct shard_info *info = shard_get_info(s->shards[i]);
        n += info->documents; /* at most its tokens, which are at most 2^40 */
        if (!info->has_documents)
            return fail_null(err,
                             "%s/%s: its text was not divided into documents: see "
                             "--document-separator and --document-files of tokenize",
                             s->dir, s->name);
    }
    d->count = 1;
    d->tokens = s->tokens;
    if (!(d->begins = calloc(n, sizeof *d->begins)))
        return fail_null(err, "%s/%s: out of memory for %" PRIu64 " documents", s->dir, s->name, n);
    for (size_t i = 0; i < s->n_shards; i++)
        if (add_documents(s, i, err)) {
            free(d->begins);
            d->begins = NULL;
            return NULL;
        }
    return d;
}

int split_read_wrapped(struct split *s, uint64_t first, size_t n, uint32_t *tokens,
                       struct error *err)
{
    size_t i = 0;
    while (first >= s->first[i + 1])
        i++;
    while (n > 0) {
        const size_t m = size_min(n, s->first[i + 1] - first);
        if (shard_read(s->shards[i], first - s->first[i], m, tokens, err))
            return -1;
        tokens += m, n -= m;
        i = (i + 1) % s->n_shards;
        first = s->first[i];
    }
    return 0;
}

int split_read(struct split *s, uint64_t first, size_t n, uint32_t *tokens, struct error *err)
{
    if (first > s->tokens || n > s->tokens - first)
        return fail(err, "%s/%s: %zu tokens from %" PRIu64 " on, but it has %" PRIu64, s->dir,
                    s->name, n, first, s->tokens);
    return n == 0 ? 0 : split_read_wrapped(s, first, n, tokens, err);
}
