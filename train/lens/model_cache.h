/* model_cache.h: the model that the server inspects. One model is in memory at a time, that of the
 * checkpoint requested last; it is reloaded when its file has changed. One request computes at a
 * time, on one thread. */
#pragma once

#include "train/lens/inspection.h"
#include <pthread.h>
#include <sys/stat.h>

/* A model in memory. Its users are the cache and streams of generated text. */
struct cached_model {
    struct inspection inspection;
    struct stat file;
    char *text; /* that the inspection holds; or NULL */
    size_t users;
};

struct model_cache {
    pthread_mutex_t lock; /* of `current`, of every model and its count, and of computing */
    struct cached_model *current;
};

void model_cache_create(struct model_cache *cache);
void model_cache_destroy(struct model_cache *cache);

/* Returns -1 if another request still computes after a few seconds. */
int model_cache_lock(struct model_cache *cache);
void model_cache_unlock(struct model_cache *cache);

/* The functions below need the lock. */

/* The model of a checkpoint file, after it has read a text unless that is NULL. Returns NULL after
 * an error. The model is valid until the lock is released, or longer for those that
 * count themselves as users until cached_model_release. */
struct cached_model *model_cache_get(struct model_cache *cache, const char *path, const char *text,
                                     struct error *err);
void cached_model_release(struct cached_model *m);
