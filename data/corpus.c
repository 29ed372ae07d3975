/* corpus.c: see corpus.h. */
#include "data/corpus.h"
#include "base/atomic.h"
#include "base/directories.h"
#include "base/minmax.h"
#include "data/encoder.h"
#include "data/shard.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { N_SPLITS = 2 };
static const char *const SPLITS[N_SPLITS] = {"train", "val"};
static const char TOKENIZER[] = "tokenizer.h5";
static const size_t MAX_SOURCES = 16 << 20; /* bytes: H5_MAX_STRING */

/* --- the directory --- */

static bool is_corpus_file(const char *name)
{
    uint64_t index;
    return strcmp(name, TOKENIZER) == 0 || shard_parse_name(name, SPLITS[0], &index) ||
           shard_parse_name(name, SPLITS[1], &index);
}

bool corpus_owns(const char *name)
{
    static const size_t SUFFIX = sizeof ".XXXXXX.tmp" - 1;
    char of[NAME_MAX + 1]; /* the X of a temporary file ".X.XXXXXX.tmp" */
    const size_t n = strlen(name);
    if (n <= SUFFIX + 1 || n > NAME_MAX)
        return is_corpus_file(name);
    snprintf(of, sizeof of, "%.*s", (int)(n - 1 - SUFFIX), name + 1);
    return is_corpus_file(name) || (is_corpus_file(of) && atomic_is_leftover(name, of));
}

int corpus_dir_open(struct corpus_dir *d, const char *path, struct error *err)
{
    *d = (struct corpus_dir){.fd = -1};
    if (make_directories(path, &d->created, err) != 0)
        return -1;
    d->path = strdup(path);
    d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = 0;
    if (!d->path || d->fd < 0)
        status = fail(err, "%s: %s", path, strerror(errno));
    else if (faccessat(d->fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
        status = fail(err, "%s: cannot write to this directory: %s", path, strerror(errno));
    else if (flock(d->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        status = fail(err, "%s: another process is writing a corpus here", path);
    if (status != 0)
        corpus_dir_close(d, true);
    return status;
}

bool corpus_dir_is_taken(const struct corpus_dir *d)
{
    return faccessat(d->fd, TOKENIZER, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool remove_file(const struct corpus_dir *d, const char *name)
{
    return unlinkat(d->fd, name, 0) == 0 || errno == ENOENT;
}

int corpus_dir_clear(const struct corpus_dir *d, struct error *err)
{
    bool ok = remove_file(d, TOKENIZER) && (fsync(d->fd) == 0 || errno == EINVAL);
    DIR *list = ok ? opendir(d->path) : NULL;
    ok = list != NULL;
    for (const struct dirent *e; ok && (e = readdir(list));)
        ok = !corpus_owns(e->d_name) || remove_file(d, e->d_name);
    const int e = errno;
    if (list)
        closedir(list);
    return ok ? 0
              : fail(err, "%s: removing the shards of an earlier run: %s", d->path, strerror(e));
}

void corpus_dir_close(struct corpus_dir *d, bool discard)
{
    if (discard && d->created && d->path)
        (void)rmdir(d->path);
    if (d->fd >= 0)
        close(d->fd);
    free(d->path);
    *d = (struct corpus_dir){.fd = -1};
}

FILE *corpus_temporary_file(const char *dir, struct error *err)
{
    char path[PATH_MAX], temporary[PATH_MAX], parent[PATH_MAX];
    /* If the process is killed before unlink, corpus_dir_clear removes the file. */
    errno = ENAMETOOLONG;
    const int fd = snprintf(path, sizeof path, "%s/%s", dir, TOKENIZER) < PATH_MAX
                       ? atomic_open_temporary(path, temporary, parent)
                       : -1;
    FILE *file = fd >= 0 ? fdopen(fd, "w+b") : NULL;
    if (fd >= 0)
        unlink(temporary);
    if (file)
        return file;
    fail(err, "%s: cannot create a file in this directory: %s", dir, strerror(errno));
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* --- writing --- */

struct corpus_writer {
    struct corpus_plan plan;
    struct shard_info info; /* of the current shard */
    struct shard_writer *shard;
    uint64_t left, bytes;     /* of the current shard: tokens that it still needs, bytes so far */
    uint64_t total[N_SPLITS]; /* tokens of each split */
    uint64_t done;            /* tokens of the current split */
    size_t split;
};

/* Identifies the run by everything that determines its tokens and their division into files. */
static void identify_corpus(struct corpus_writer *w)
{
    char sizes[80];
    const struct corpus_plan *p = &w->plan;
    snprintf(sizes, sizeof sizes, "%" PRIu64 " %" PRIu64 " %" PRIu64 "%s", p->train, p->val,
             p->max_tokens, p->documents ? " documents" : "");
    struct digest d;
    digest_init(&d);
    digest_update_string(&d, tokenizer_fingerprint(p->tokenizer));
    digest_update_string(&d, sizes);
    digest_update_string(&d, p->sources);
    digest_finish(&d, w->info.corpus);
}

struct corpus_writer *corpus_writer_create(const struct corpus_plan *plan, struct error *err)
{
    struct corpus_writer *w = calloc(1, sizeof *w);
    if (!w)
        return fail_null(err, "%s: out of memory", plan->dir);
    w->plan = *plan;
    w->total[0] = plan->train;
    w->total[1] = plan->val;
    identify_corpus(w);
    snprintf(w->info.tokenizer_kind, SHARD_NAME, "%s", tokenizer_kind(plan->tokenizer));
    strcpy(w->info.tokenizer_fingerprint, tokenizer_fingerprint(plan->tokenizer));
    w->info.has_documents = plan->documents;
    w->info.vocab_size = tokenizer_vocab_size(plan->tokenizer);
    /* A list too long to be read back is omitted; info.corpus still covers it. */
    w->info.sources = strlen(plan->sources) < MAX_SOURCES ? plan->sources : "[]";
    return w;
}

/* Moves on from complete splits; whether all of them are complete. */
static bool is_complete(struct corpus_writer *w)
{
    while (w->split < N_SPLITS - 1 && w->done == w->total[w->split])
        w->split++, w->done = 0;
    return w->done == w->total[w->split];
}

/* Begins the shard of the next token. */
static int begin_shard(struct corpus_writer *w, struct error *err)
{
    if (is_complete(w))
        return fail(err, "%s: more tokens than were counted", w->plan.dir);
    const uint64_t max = w->plan.max_tokens, total = w->total[w->split];
    struct shard_info *i = &w->info;
    strcpy(i->split, SPLITS[w->split]);
    i->index = w->done / max;
    i->count = ceil_div(total, max);
    i->tokens = w->left = size_min(total - w->done, max);
    w->bytes = 0;
    char path[PATH_MAX];
    if (shard_path(path, w->plan.dir, i->split, i->index, err) != 0)
        return -1;
    w->shard = shard_writer_create(path, i, err);
    return w->shard ? 0 : -1;
}

static int end_shard(struct corpus_writer *w, struct error *err)
{
    struct shard_writer *shard = w->shard;
    w->shard = NULL;
    return shard_writer_finish(shard, w->bytes, err);
}

static int append_token(struct corpus_writer *w, uint32_t id, struct error *err)
{
    size_t length;
    if (w->plan.documents && id & ENCODER_DOCUMENT) {
        id &= ~ENCODER_DOCUMENT;
        if (shard_writer_document(w->shard, err) != 0)
            return -1;
    }
    if (shard_writer_append(w->shard, &id, 1, err) != 0)
        return -1;
    tokenizer_bytes(w->plan.tokenizer, id, &length);
    w->bytes += length;
    w->left--;
    w->done++;
    return 0;
}

int corpus_writer_append(struct corpus_writer *w, const uint32_t *ids, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++)
        if ((!w->shard && begin_shard(w, err) != 0) || append_token(w, ids[i], err) != 0 ||
            (w->left == 0 && end_shard(w, err) != 0))
            return -1;
    return 0;
}

void corpus_writer_discard(struct corpus_writer *w)
{
    if (!w)
        return;
    shard_writer_discard(w->shard);
    free(w);
}

int corpus_writer_finish(struct corpus_writer *w, struct error *err)
{
    char path[PATH_MAX];
    int status = 0;
    if (!is_complete(w))
        status = fail(err, "%s: fewer tokens than were counted", w->plan.dir);
    else if (snprintf(path, sizeof path, "%s/%s", w->plan.dir, TOKENIZER) >= PATH_MAX)
        status = fail(err, "%s: %s", w->plan.dir, strerror(ENAMETOOLONG));
    else
        status = tokenizer_save(w->plan.tokenizer, path, err);
    corpus_writer_discard(w);
    return status;
}
