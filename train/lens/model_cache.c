/* model_cache.c: see lens_room.h. */
#include "train/lens/model_cache.h"
#include <dirent.h>
#include <errno.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PATIENCE = 5 /* seconds */, DIGITS = 20 };

bool lens_checkpoint_name(const char *name)
{
    if (!strcmp(name, "best.h5"))
        return true;
    if (strncmp(name, "ckpt-", 5) != 0)
        return false;
    const size_t digits = strspn(name + 5, "0123456789");
    return digits > 0 && digits <= DIGITS && !strcmp(name + 5 + digits, ".h5");
}

/* "best.h5" sorts before "ckpt-…"; of those, the longer number is the larger. */
static int newest_first(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    if (*x != *y)
        return *x < *y ? -1 : 1;
    if (strlen(x) != strlen(y))
        return strlen(x) > strlen(y) ? -1 : 1;
    return strcmp(y, x);
}

int lens_checkpoints(const char *run_dir, char ***names, size_t *n, struct error *err)
{
    DIR *dir = opendir(run_dir);
    const struct dirent *d;
    *names = NULL;
    *n = 0;
    if (!dir)
        return fail(err, "%s: %s", run_dir, strerror(errno));
    int status = 0;
    while (status == 0 && (d = readdir(dir))) {
        if (!lens_checkpoint_name(d->d_name))
            continue;
        char **grown = realloc(*names, (*n + 1) * sizeof *grown);
        if (grown)
            *names = grown;
        if (!grown || !(grown[*n] = strdup(d->d_name)))
            status = fail(err, "%s: no memory for its list", run_dir);
        else
            ++*n;
    }
    closedir(dir);
    if (*n)
        qsort(*names, *n, sizeof **names, newest_first);
    return status;
}

void lens_room_open(struct lens_room *room)
{
    *room = (struct lens_room){.current = NULL};
    pthread_mutex_init(&room->lock, NULL);
}

void lens_room_close(struct lens_room *room)
{
    if (room->current)
        lens_model_drop(room->current);
    room->current = NULL;
    pthread_mutex_destroy(&room->lock);
}

int lens_room_enter(struct lens_room *room)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE;
    omp_set_num_threads(1); /* of this thread's computations: training goes first */
    return pthread_mutex_timedlock(&room->lock, &until) ? -1 : 0;
}

void lens_room_leave(struct lens_room *room)
{
    pthread_mutex_unlock(&room->lock);
}

void lens_model_keep(struct lens_model *m)
{
    m->users++;
}

void lens_model_drop(struct lens_model *m)
{
    if (--m->users)
        return;
    inspection_close(&m->reading);
    free(m->path);
    free(m->text);
    free(m);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The old model goes first: two large ones need not fit. */
static int load(struct lens_room *room, const char *path, const struct stat *file,
                struct error *err)
{
    if (room->current)
        lens_model_drop(room->current);
    room->current = NULL;
    struct lens_model *m = calloc(1, sizeof *m);
    if (!m || !(m->path = strdup(path))) {
        free(m);
        return fail(err, "no memory to look into %s", path);
    }
    if (inspection_open(&m->reading, path, err)) {
        free(m->path);
        free(m);
        return -1;
    }
    m->file = *file;
    m->users = 1;
    room->current = m;
    return 0;
}

struct lens_model *lens_room_model(struct lens_room *room, const char *path, const char *text,
                                   bool *missing, struct error *err)
{
    struct stat file;
    *missing = stat(path, &file) != 0;
    if (*missing) {
        fail(err, "%s: %s", path, strerror(errno));
        return NULL;
    }
    struct lens_model *m = room->current;
    if ((!m || strcmp(m->path, path) != 0 || !same_file(&m->file, &file)) &&
        load(room, path, &file, err))
        return NULL;
    m = room->current;
    if (!text || (m->text && !strcmp(m->text, text)))
        return m;
    free(m->text);
    m->text = NULL;
    if (inspection_take(&m->reading, text, strlen(text), err))
        return NULL;
    m->text = strdup(text);
    return m;
}
