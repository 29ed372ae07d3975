/* corpus.c: see corpus.h. */
#include "data/corpus/corpus.h"
#include "base/atomic.h"
#include "base/directories.h"
#include "base/minmax.h"
#include "data/documents.h"
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

static const char *const SPLITS[] = {"train", "val"};
static const char TOKENIZER[] = "tokenizer.h5";

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
    *d = (struct corpus_dir){.path = path, .fd = -1};
    if (make_directories(path, &d->created, err))
        return -1;
    d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = 0;
    if (d->fd < 0)
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
    if (discard && d->created)
        (void)rmdir(d->path);
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
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

/* Identifies the run by everything that determines its tokens and their division into files. */
static void identify_corpus(const struct corpus_plan *p, char hex[DIGEST_HEX])
{
    char sizes[100];
    snprintf(sizes, sizeof sizes, "%" PRIu64 " %" PRIu64 " %" PRIu64 "%s %" PRIu64, p->train,
             p->val, p->max_tokens, p->documents ? " documents" : "", p->val_seed);
    struct digest d;
    digest_init(&d);
    digest_update_string(&d, p->tokenizer->fingerprint);
    digest_update_string(&d, sizes);
    digest_update_string(&d, p->sources);
    digest_finish(&d, hex);
}

struct source {
    const struct corpus_plan *plan;
    uint64_t first; /* token of the shard */
};

/* Provides tokens of a shard: a shard_source. */
static int read_shard(void *source, uint64_t first, size_t n, uint32_t *ids, uint64_t *bytes,
                      struct error *err)
{
    const struct source *s = source;
    const uint32_t mask = s->plan->documents ? ~DOCUMENT_BEGIN : UINT32_MAX;
    if (s->plan->read(s->plan->context, s->first + first, n, ids, err))
        return -1;
    for (size_t i = 0, length; i < n; i++) {
        tokenizer_bytes(s->plan->tokenizer, ids[i] & mask, &length);
        *bytes += length;
    }
    return 0;
}

int corpus_write(const struct corpus_plan *p, struct error *err)
{
    struct shard_info info = {.has_documents = p->documents,
                              .vocab_size = p->tokenizer->vocab_size,
                              .sources = p->sources};
    char path[PATH_MAX];
    struct source source = {p, 0};
    identify_corpus(p, info.corpus);
    strcpy(info.tokenizer_kind, p->tokenizer->kind);
    strcpy(info.tokenizer_fingerprint, p->tokenizer->fingerprint);
    if (strlen(p->sources) >= H5_MAX_STRING) /* cannot be read back; info.corpus still covers it */
        info.sources = "[]";
    for (int split = 0; split < 2; split++) {
        const uint64_t total = split ? p->val : p->train;
        strcpy(info.split, SPLITS[split]);
        info.count = ceil_div(total, p->max_tokens);
        for (info.index = 0; info.index < info.count; info.index++, source.first += info.tokens) {
            info.tokens = size_min(total - info.index * p->max_tokens, p->max_tokens);
            if (shard_path(path, p->dir, info.split, info.index, err) ||
                shard_write(path, &info, read_shard, &source, err))
                return -1;
        }
    }
    return snprintf(path, sizeof path, "%s/%s", p->dir, TOKENIZER) < PATH_MAX
               ? tokenizer_save(p->tokenizer, path, err)
               : fail(err, "%s: %s", p->dir, strerror(ENAMETOOLONG));
}
