/* run_folder.c: the checkpoints of a run folder, ckpt-STEP.h5: which is the newest that can be trusted, and which may go. There
 * is no pointer to the newest that could itself be stale or torn: the names say it. */
#include "train/checkpoint/run_folder.h"
#include "base/atomic.h"
#include "train/checkpoint/checkpoint.h"
#include "train/checkpoint/image.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct entry {
    uint64_t step;
    char name[64];
};

/* The step of a name of exactly this form. */
static bool parse_name(const char *name, uint64_t *step)
{
    char *end;
    if (strncmp(name, "ckpt-", 5) || strspn(name + 5, "0123456789") == 0)
        return false;
    errno = 0;
    *step = strtoull(name + 5, &end, 10);
    return !errno && !strcmp(end, ".h5") && strlen(name) < sizeof((struct entry *)0)->name;
}

static int newest_first(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->step != y->step ? (x->step < y->step) - (x->step > y->step)
                              : strcmp(y->name, x->name);
}

/* Grows *list by one. */
static bool append(struct entry **list, size_t *n, uint64_t step, const char *name)
{
    struct entry *grown = realloc(*list, (*n + 1) * sizeof *grown);
    if (!grown)
        return false;
    *list = grown;
    grown[*n].step = step;
    memcpy(grown[*n].name, name, strlen(name) + 1); /* parse_name has seen that it fits */
    ++*n;
    return true;
}

/* All checkpoints of the folder, newest first, into *list, which the caller frees. */
static int scan(const char *run_dir, struct entry **list, size_t *n, struct error *err)
{
    DIR *dir = opendir(run_dir);
    *list = NULL;
    *n = 0;
    if (!dir)
        return fail(err, "%s: %s", run_dir, strerror(errno));
    const struct dirent *d;
    uint64_t step;
    bool good = true;
    while (good && (errno = 0, d = readdir(dir)))
        good = !parse_name(d->d_name, &step) || append(list, n, step, d->d_name);
    const int status = !good   ? fail(err, "%s: out of memory", run_dir)
                       : errno ? fail(err, "%s: %s", run_dir, strerror(errno))
                               : 0;
    closedir(dir);
    if (status) {
        free(*list);
        *list = NULL;
    } else if (*n)
        qsort(*list, *n, sizeof **list, newest_first);
    return status;
}

static int join(const char *run_dir, const char *name, char *path, size_t size, struct error *err)
{
    const int n = snprintf(path, size, "%s/%s", run_dir, name);
    return n >= 0 && (size_t)n < size ? 0 : fail(err, "%s/%s: the path is too long", run_dir, name);
}

int checkpoint_path(const char *run_dir, uint64_t step, char *path, size_t size, struct error *err)
{
    char name[64];
    snprintf(name, sizeof name, "ckpt-%" PRIu64 ".h5", step);
    return join(run_dir, name, path, size, err);
}

int checkpoint_best_path(const char *run_dir, char *path, size_t size, struct error *err)
{
    return join(run_dir, "best.h5", path, size, err);
}

/* Whether a checkpoint can be read; where good_only is set, also whether steps went well when it was saved. */
static bool verifies(const char *path, bool good_only, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    const bool good = f && (!good_only || c.state.skipped_in_row == 0);
    if (f && !good)
        fail(err, "%s: was saved while steps were being skipped", path);
    checkpoint_close(f);
    return good;
}

static int find_newest(const char *run_dir, bool good_only, char *path, size_t size,
                       struct error *err)
{
    struct entry *list;
    size_t n, i;
    struct error why;
    if (scan(run_dir, &list, &n, err))
        return -1;
    int status = 0;
    for (i = 0; i < n && !(status = join(run_dir, list[i].name, path, size, err)); i++) {
        if (verifies(path, good_only, &why))
            break;
        fprintf(stderr, "handgrad: passing over %s\n", why.text);
    }
    free(list);
    if (status)
        return -1;
    if (!n)
        return fail(err, "%s: expected a checkpoint ckpt-STEP.h5, found none", run_dir);
    if (i == n)
        return fail(err, "%s: none of its %zu checkpoints can be read", run_dir, n);
    return 0;
}

int checkpoint_newest(const char *run_dir, char *path, size_t size, struct error *err)
{
    return find_newest(run_dir, false, path, size, err);
}

int checkpoint_last_good(const char *run_dir, char *path, size_t size, struct error *err)
{
    return find_newest(run_dir, true, path, size, err);
}

bool checkpoint_after(const char *run_dir, uint64_t step, char *path, size_t size)
{
    struct entry *list;
    size_t n;
    struct error ignored; /* a folder that is not there, or cannot be read, has none */
    if (scan(run_dir, &list, &n, &ignored))
        return false;
    const bool is_there =
        n && list[0].step > step && !join(run_dir, list[0].name, path, size, &ignored);
    free(list);
    return is_there;
}

/* --- rotation --- */

static bool is_verified(const struct verified *v, uint64_t step)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->steps[i] == step)
            return true;
    return false;
}

int verified_add(struct verified *v, uint64_t step)
{
    if (is_verified(v, step))
        return 0;
    uint64_t *grown = realloc(v->steps, (v->n + 1) * sizeof *grown);
    if (!grown)
        return -1;
    v->steps = grown;
    v->steps[v->n++] = step;
    return 0;
}

void verified_clear(struct verified *v)
{
    free(v->steps);
    *v = (struct verified){0};
}

static void verified_remove(struct verified *v, uint64_t step)
{
    for (size_t i = 0; i < v->n; i++)
        if (v->steps[i] == step)
            v->steps[i--] = v->steps[--v->n];
}

static bool is_ours(const char *name)
{
    uint64_t step;
    return parse_name(name, &step) || !strcmp(name, "best.h5") || !strcmp(name, "config.ini");
}

/* Temporary files whose writer was killed: who rotates has none of its own, and holds the folder's lock. */
static void remove_leftovers(const char *run_dir)
{
    DIR *dir = opendir(run_dir);
    const struct dirent *d;
    struct error ignored;
    char of[64], path[4096];
    while (dir && (d = readdir(dir))) {
        const size_t length = strlen(d->d_name), tag = strlen(".XXXXXX.tmp");
        if (d->d_name[0] != '.' || length <= tag + 1 || length - tag > sizeof of)
            continue;
        snprintf(of, sizeof of, "%.*s", (int)(length - tag - 1), d->d_name + 1);
        if (is_ours(of) && atomic_is_leftover(d->d_name, of) &&
            !join(run_dir, d->d_name, path, sizeof path, &ignored))
            unlink(path);
    }
    if (dir)
        closedir(dir);
}

static int remove_checkpoint(const char *run_dir, const char *name, struct error *err)
{
    char path[4096];
    if (join(run_dir, name, path, sizeof path, err))
        return -1;
    return unlink(path) && errno != ENOENT
               ? fail(err, "%s: cannot be removed: %s", path, strerror(errno))
               : 0;
}

/* Reads a file that this process has not seen whole yet, once. A damaged one is passed over, and stays until it is old. */
static int look_at(const char *run_dir, const struct entry *e, struct verified *v,
                   struct error *err)
{
    char path[4096];
    struct error ignored;
    if (is_verified(v, e->step))
        return 0;
    if (join(run_dir, e->name, path, sizeof path, err))
        return -1;
    return image_verify(path, &ignored) || !verified_add(v, e->step)
               ? 0
               : fail(err, "%s: out of memory", run_dir);
}

int checkpoint_rotate(const char *run_dir, size_t keep, uint64_t step, struct verified *v,
                      struct error *err)
{
    struct entry *list;
    size_t n, good = 0;
    if (scan(run_dir, &list, &n, err))
        return -1;
    int status = 0;
    for (size_t i = 0; i < n && !status; i++) {
        if (list[i].step > step)
            continue;
        if (good < (keep ? keep : 1)) {
            status = look_at(run_dir, &list[i], v, err);
            good += is_verified(v, list[i].step);
        } else {
            status = remove_checkpoint(run_dir, list[i].name, err);
            verified_remove(v, list[i].step);
        }
    }
    free(list);
    remove_leftovers(run_dir);
    return status;
}

int checkpoint_drop_after(const char *run_dir, uint64_t step, struct error *err)
{
    struct entry *list;
    size_t n;
    if (scan(run_dir, &list, &n, err))
        return -1;
    int status = 0;
    for (size_t i = 0; i < n && !status && list[i].step > step; i++)
        status = remove_checkpoint(run_dir, list[i].name, err);
    free(list);
    return status;
}
