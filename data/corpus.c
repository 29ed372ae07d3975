/* corpus.c: a folder of shards and the tokenizer that made them, written as a whole. */
#include "data/corpus.h"
#include "base/atomic.h"
#include "base/digest.h"
#include "base/directories.h"
#include "data/encoder.h"
#include "data/shard.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static const char *const SPLITS[] = {"train", "val"};
enum { N_SPLITS = 2 };
static const char TOKENIZER[] = "tokenizer.h5";
static const size_t MAX_SOURCES = 16 << 20; /* bytes of an attribute that can be read again */

/* --- the folder --- */

static bool is_part(const char *name)
{
    uint64_t index;
    for (size_t i = 0; i < N_SPLITS; i++)
        if (shard_parse_name(name, SPLITS[i], &index))
            return true;
    return strcmp(name, TOKENIZER) == 0;
}

bool corpus_owns(const char *name)
{
    if (is_part(name))
        return true;
    /* ".PART.XXXXXX.tmp" */
    static const size_t TAIL = sizeof ".XXXXXX.tmp" - 1;
    char part[NAME_MAX + 1] = "";
    const size_t n = strlen(name);
    if (name[0] != '.' || n <= TAIL + 1 || n > NAME_MAX)
        return false;
    memcpy(part, name + 1, n - 1 - TAIL);
    return is_part(part) && atomic_is_leftover(name, part);
}

int corpus_folder_open(struct corpus_folder *f, const char *path, struct error *err)
{
    *f = (struct corpus_folder){.fd = -1};
    if (make_directories(path, &f->created, err) != 0)
        return -1;
    f->path = strdup(path);
    f->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int status = 0;
    if (!f->path || f->fd < 0)
        status = fail(err, "%s: %s", path, strerror(errno));
    else if (faccessat(f->fd, ".", W_OK | X_OK, AT_EACCESS) != 0)
        status = fail(err, "%s: cannot write to this folder: %s", path, strerror(errno));
    else if (flock(f->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        status = fail(err, "%s: another process is writing a corpus here", path);
    if (status != 0)
        corpus_folder_close(f, true);
    return status;
}

/* Calls `each` with the names that corpus_owns, until it returns non-zero, which is returned. */
static int for_each(const struct corpus_folder *f,
                    int (*each)(const struct corpus_folder *f, const char *name))
{
    DIR *d = opendir(f->path);
    if (!d)
        return -1;
    int status = 0;
    for (const struct dirent *e; status == 0 && (e = readdir(d));)
        if (corpus_owns(e->d_name))
            status = each(f, e->d_name);
    const int saved = errno;
    closedir(d);
    errno = saved;
    return status;
}

bool corpus_folder_is_taken(const struct corpus_folder *f)
{
    return faccessat(f->fd, TOKENIZER, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int remove_name(const struct corpus_folder *f, const char *name)
{
    return unlinkat(f->fd, name, 0) == 0 || errno == ENOENT ? 0 : -1;
}

int corpus_folder_clear(const struct corpus_folder *f, struct error *err)
{
    if (remove_name(f, TOKENIZER) != 0 || (fsync(f->fd) != 0 && errno != EINVAL) ||
        for_each(f, remove_name) != 0)
        return fail(err, "%s: removing the shards of an earlier run: %s", f->path, strerror(errno));
    return 0;
}

void corpus_folder_close(struct corpus_folder *f, bool discard)
{
    if (discard && f->created && f->path)
        (void)rmdir(f->path);
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    *f = (struct corpus_folder){.fd = -1};
}

/* --- writing --- */

struct corpus_writer {
    struct corpus_plan plan;
    struct shard_info info; /* of the shard in hand */
    struct shard_writer *shard;
    uint64_t done[N_SPLITS],
        left;       /* tokens: of each split so far, and that the shard still needs */
    uint64_t bytes; /* of the shard so far */
    size_t split;
};

uint64_t corpus_shards(uint64_t tokens, uint64_t max_tokens)
{
    return tokens / max_tokens + (tokens % max_tokens != 0);
}

static uint64_t split_tokens(const struct corpus_writer *w, size_t split)
{
    return split == 0 ? w->plan.train : w->plan.val;
}

/* Names the run by all that decides its tokens and how they are divided. */
static void name_corpus(struct corpus_writer *w)
{
    char sizes[80];
    const struct corpus_plan *p = &w->plan;
    snprintf(sizes, sizeof sizes, "%llu %llu %llu%s", (unsigned long long)p->train,
             (unsigned long long)p->val, (unsigned long long)p->max_tokens,
             p->documents ? " documents" : "");
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
    if (!w) {
        fail(err, "%s: out of memory", plan->dir);
        return NULL;
    }
    w->plan = *plan;
    name_corpus(w);
    snprintf(w->info.tokenizer_kind, SHARD_NAME, "%s", tokenizer_kind(plan->tokenizer));
    strcpy(w->info.tokenizer_fingerprint, tokenizer_fingerprint(plan->tokenizer));
    w->info.has_documents = plan->documents;
    w->info.vocab_size = tokenizer_vocab_size(plan->tokenizer);
    /* A list too long to be read again is left out; the corpus' name still covers it. */
    w->info.sources = strlen(plan->sources) < MAX_SOURCES ? plan->sources : "[]";
    return w;
}

/* Tokens that no document begins within, but perhaps with the first. */
static int append(struct corpus_writer *w, const uint32_t *ids, size_t n, struct error *err)
{
    const bool begins = w->plan.documents && ids[0] & ENCODER_DOCUMENT;
    const uint32_t first = begins ? ids[0] & ~ENCODER_DOCUMENT : ids[0];
    if ((begins && shard_writer_document(w->shard, err) != 0) ||
        shard_writer_append(w->shard, &first, 1, err) != 0 ||
        shard_writer_append(w->shard, ids + 1, n - 1, err) != 0)
        return -1;
    for (size_t i = 0, length; i < n; i++) {
        tokenizer_bytes(w->plan.tokenizer, i ? ids[i] : first, &length);
        w->bytes += length;
    }
    w->left -= n;
    w->done[w->split] += n;
    return 0;
}

/* The shard that the next token goes to. */
static int begin_shard(struct corpus_writer *w, struct error *err)
{
    while (w->split < N_SPLITS && w->done[w->split] == split_tokens(w, w->split))
        w->split++;
    if (w->split == N_SPLITS)
        return fail(err, "%s: more tokens than were counted", w->plan.dir);
    const uint64_t max = w->plan.max_tokens, all = split_tokens(w, w->split),
                   rest = all - w->done[w->split];
    struct shard_info *i = &w->info;
    strcpy(i->split, SPLITS[w->split]);
    i->index = w->done[w->split] / max;
    i->count = corpus_shards(all, max);
    i->tokens = w->left = rest < max ? rest : max;
    w->bytes = 0;
    char path[PATH_MAX];
    if (shard_path(path, w->plan.dir, i->split, i->index, err) != 0)
        return -1;
    w->shard = shard_writer_create(path, i, err);
    return w->shard ? 0 : -1;
}

int corpus_writer_append(struct corpus_writer *w, const uint32_t *ids, size_t n, struct error *err)
{
    while (n > 0) {
        if (!w->shard && begin_shard(w, err) != 0)
            return -1;
        size_t m = 1;
        while (m < n && m < w->left && !(w->plan.documents && ids[m] & ENCODER_DOCUMENT))
            m++;
        if (append(w, ids, m, err) != 0)
            return -1;
        ids += m, n -= m;
        if (w->left == 0) {
            struct shard_writer *shard = w->shard;
            w->shard = NULL;
            if (shard_writer_finish(shard, w->bytes, err) != 0)
                return -1;
        }
    }
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
    if (w->done[0] != w->plan.train || w->done[1] != w->plan.val)
        status = fail(err, "%s: fewer tokens than were counted", w->plan.dir);
    else if (snprintf(path, sizeof path, "%s/%s", w->plan.dir, TOKENIZER) >= PATH_MAX)
        status = fail(err, "%s: %s", w->plan.dir, strerror(ENAMETOOLONG));
    else
        status = tokenizer_save(w->plan.tokenizer, path, err);
    corpus_writer_discard(w);
    return status;
}
