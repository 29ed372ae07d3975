/* model_cache.c: see model_cache.h. */
#include "train/lens/model_cache.h"
#include <errno.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LOCK_SECONDS = 5 };

void model_cache_create(struct model_cache *cache)
{
    cache->current = NULL;
    pthread_mutex_init(&cache->lock, NULL);
}

static void drop_current(struct model_cache *cache)
{
    if (cache->current)
        cached_model_release(cache->current);
    cache->current = NULL;
}

void model_cache_destroy(struct model_cache *cache)
{
    drop_current(cache);
    pthread_mutex_destroy(&cache->lock);
}

int model_cache_lock(struct model_cache *cache)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LOCK_SECONDS;
    omp_set_num_threads(1); /* for this thread: a run on the same machine has priority */
    return pthread_mutex_timedlock(&cache->lock, &until) ? -1 : 0;
}

void model_cache_unlock(struct model_cache *cache)
{
    pthread_mutex_unlock(&cache->lock);
}

void cached_model_release(struct cached_model *m)
{
    if (--m->users)
        return;
    inspection_close(&m->inspection);
    free(m->text);
    free(m);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           !memcmp(&a->st_mtim, &b->st_mtim, sizeof a->st_mtim);
}

/* Loads a model. The old one is freed first: the two together may not fit into memory. */
static int load(struct model_cache *cache, const char *path, const struct stat *file,
                struct error *err)
{
    drop_current(cache);
    struct cached_model *m = calloc(1, sizeof *m);
    if (!m)
        return fail(err, "no memory to inspect %s", path);
    if (inspection_open(&m->inspection, path, err)) {
        free(m);
        return -1;
    }
    m->file = *file;
    m->users = 1;
    cache->current = m;
    return 0;
}

struct cached_model *model_cache_get(struct model_cache *cache, const char *path, const char *text,
                                     struct error *err)
{
    struct stat file;
    if (stat(path, &file)) {
        fail(err, "%s: %s", path, strerror(errno));
        return NULL;
    }
    if ((!cache->current || !same_file(&cache->current->file, &file)) &&
        load(cache, path, &file, err))
        return NULL;
    struct cached_model *m = cache->current;
    if (!text || (m->text && !strcmp(m->text, text)))
        return m;
    free(m->text);
    m->text = NULL;
    if (inspection_run(&m->inspection, text, strlen(text), err))
        return NULL;
    m->text = strdup(text);
    return m;
}
