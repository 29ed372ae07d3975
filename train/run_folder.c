/* run_folder.c: the checkpoints of a run folder, ckpt-STEP.h5: which is the newest that can be trusted, and which may go. There
 * is no pointer to the newest that could itself be stale or torn: the names say it. */
#include "../data/atomic.h"
#include "checkpoint.h"

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
    return x->step != y->step ? (x->step < y->step) - (x->step > y->step) : strcmp(y->name, x->name);
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

static bool verifies(const char *path, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    checkpoint_close(f);
    return f != NULL;
}

int checkpoint_newest(const char *run_dir, char *path, size_t size, struct error *err)
{
    struct entry *list;
    size_t n, i;
    struct error why;
    if (scan(run_dir, &list, &n, err))
        return -1;
    int status = 0;
    for (i = 0; i < n && !(status = join(run_dir, list[i].name, path, size, err)); i++) {
        if (verifies(path, &why))
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

/* Temporary files of checkpoints whose writer was killed: who rotates has none of its own. */
static void remove_leftovers(const char *run_dir)
{
    DIR *dir = opendir(run_dir);
    const struct dirent *d;
    struct error ignored;
    char of[64], path[4096];
    uint64_t step;
    while (dir && (d = readdir(dir))) {
        const char *end = strstr(d->d_name, ".h5.");
        if (d->d_name[0] != '.' || !end || (size_t)(end + 3 - d->d_name) > sizeof of)
            continue;
        snprintf(of, sizeof of, "%.*s", (int)(end + 3 - (d->d_name + 1)), d->d_name + 1);
        if (parse_name(of, &step) && atomic_is_leftover(d->d_name, of) && !join(run_dir, d->d_name, path, sizeof path, &ignored))
            unlink(path);
    }
    if (dir)
        closedir(dir);
}

int checkpoint_rotate(const char *run_dir, size_t keep, struct error *err)
{
    struct entry *list;
    size_t n;
    char path[4096];
    if (scan(run_dir, &list, &n, err))
        return -1;
    int status = 0;
    for (size_t i = keep ? keep : 1; i < n && !status; i++) {
        status = join(run_dir, list[i].name, path, sizeof path, err);
        if (!status && unlink(path) && errno != ENOENT)
            status = fail(err, "%s: cannot be removed: %s", path, strerror(errno));
    }
    free(list);
    remove_leftovers(run_dir);
    return status;
}
