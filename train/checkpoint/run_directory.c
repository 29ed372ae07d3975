/* run_directory.c: see run_directory.h. No file points to the newest checkpoint, as it could be
 * stale or torn; the names are enough. */
#include "train/checkpoint/run_directory.h"
#include "base/atomic.h"
#include "train/checkpoint/checkpoint.h"
#include "train/checkpoint/image.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t NO_STEP = UINT64_MAX;

/* The step in a file name of exactly the form ckpt-STEP.h5; NO_STEP in another name. */
static uint64_t step_of(const char *name)
{
    char *end;
    if (strncmp(name, "ckpt-", 5) || !isdigit((unsigned char)name[5]))
        return NO_STEP;
    const uint64_t step = strtoull(name + 5, &end, 10); /* NO_STEP if it is too large */
    return strcmp(end, ".h5") ? NO_STEP : step;
}

static int is_checkpoint(const struct dirent *d)
{
    return step_of(d->d_name) != NO_STEP;
}

static int newest_first(const struct dirent **a, const struct dirent **b)
{
    const uint64_t x = step_of((*a)->d_name), y = step_of((*b)->d_name);
    return x != y ? (x < y) - (x > y) : strcmp((*b)->d_name, (*a)->d_name);
}

/* Lists the checkpoints of the directory, newest first. Returns how many there are, or -1; free
 * with free_list. */
static int list_checkpoints(const char *run_dir, struct dirent ***list, struct error *err)
{
    const int n = scandir(run_dir, list, is_checkpoint, newest_first);
    return n < 0 ? fail(err, "%s: %s", run_dir, strerror(errno)) : n;
}

static void free_list(struct dirent **list, int n)
{
    for (int i = 0; i < n; i++)
        free(list[i]);
    free(list);
}

char *run_path(char path[RUN_PATH_MAX], const char *run_dir, const char *name)
{
    snprintf(path, RUN_PATH_MAX, "%s/%s", run_dir, name);
    return path;
}

char *checkpoint_path(char path[RUN_PATH_MAX], const char *run_dir, uint64_t step)
{
    snprintf(path, RUN_PATH_MAX, "%s/ckpt-%" PRIu64 ".h5", run_dir, step);
    return path;
}

static bool is_usable(const char *path, bool good_only, struct error *err)
{
    struct checkpoint c;
    struct checkpoint_file *f = checkpoint_open(path, &c, err);
    const bool usable = f && (!good_only || c.state.skipped_in_row == 0);
    if (f && !usable)
        fail(err, "%s: was saved while steps were being skipped", path);
    checkpoint_close(f);
    return usable;
}

int checkpoint_newest(char path[RUN_PATH_MAX], const char *run_dir, bool good_only,
                      struct error *err)
{
    struct dirent **list;
    struct error why;
    const int n = list_checkpoints(run_dir, &list, err);
    if (n < 0)
        return -1;
    int i = 0;
    while (i < n && !is_usable(run_path(path, run_dir, list[i]->d_name), good_only, &why)) {
        fprintf(stderr, "handgrad: skipping %s\n", why.text);
        i++;
    }
    free_list(list, n);
    if (!n)
        return fail(err, "%s: expected a checkpoint ckpt-STEP.h5, found none", run_dir);
    return i == n ? fail(err, "%s: none of its %d checkpoints can be used", run_dir, n) : 0;
}

const char *checkpoint_of(char path[RUN_PATH_MAX], const char *name, struct error *err)
{
    struct stat s;
    if (stat(name, &s) || !S_ISDIR(s.st_mode))
        return name;
    if (access(run_path(path, name, "best.h5"), R_OK) && checkpoint_newest(path, name, false, err))
        return NULL;
    fprintf(stderr, "handgrad: using %s\n", path);
    return path;
}

bool checkpoint_after(char path[RUN_PATH_MAX], const char *run_dir, uint64_t step)
{
    struct dirent **list;
    struct error ignored; /* a directory that is missing or cannot be read has no checkpoints */
    const int n = list_checkpoints(run_dir, &list, &ignored);
    const bool found = n > 0 && step_of((*list)->d_name) > step;
    if (found)
        run_path(path, run_dir, (*list)->d_name);
    if (n >= 0)
        free_list(list, n);
    return found;
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

/* A temporary file of a process that was killed while it wrote one of the files of a run. */
static int is_leftover(const struct dirent *d)
{
    char of[64]; /* the file that it was to become */
    const size_t length = strlen(d->d_name), tag = strlen(".XXXXXX.tmp");
    if (d->d_name[0] != '.' || length <= tag + 1 || length - tag > sizeof of)
        return false;
    snprintf(of, sizeof of, "%.*s", (int)(length - tag - 1), d->d_name + 1);
    return (step_of(of) != NO_STEP || !strcmp(of, "best.h5") || !strcmp(of, "config.ini")) &&
           atomic_is_leftover(d->d_name, of);
}

static int remove_file(const char *run_dir, const char *name, struct error *err)
{
    char path[RUN_PATH_MAX];
    return unlink(run_path(path, run_dir, name)) && errno != ENOENT
               ? fail(err, "%s: cannot be removed: %s", path, strerror(errno))
               : 0;
}

/* The caller is not writing any file and holds the directory's lock. */
static void remove_leftovers(const char *run_dir)
{
    struct dirent **list;
    struct error ignored;
    const int n = scandir(run_dir, &list, is_leftover, NULL);
    for (int i = 0; i < n; i++)
        (void)remove_file(run_dir, list[i]->d_name, &ignored);
    if (n >= 0)
        free_list(list, n);
}

/* Adds a checkpoint to *v if it verifies. A damaged file is kept until it is old. */
static int verify(const char *run_dir, uint64_t step, const char *name, struct verified *v,
                  struct error *err)
{
    char path[RUN_PATH_MAX];
    struct error ignored;
    return is_verified(v, step) || image_verify(run_path(path, run_dir, name), &ignored) ||
                   !verified_add(v, step)
               ? 0
               : fail(err, "%s: out of memory", run_dir);
}

int checkpoint_rotate(const char *run_dir, size_t keep, uint64_t step, struct verified *v,
                      struct error *err)
{
    struct dirent **list;
    size_t good = 0;
    const int n = list_checkpoints(run_dir, &list, err);
    if (n < 0)
        return -1;
    int status = 0;
    for (int i = 0; i < n && !status; i++) {
        const uint64_t s = step_of(list[i]->d_name);
        if (s > step)
            continue;
        if (good < (keep ? keep : 1)) {
            status = verify(run_dir, s, list[i]->d_name, v, err);
            good += is_verified(v, s);
        } else {
            status = remove_file(run_dir, list[i]->d_name, err);
            verified_remove(v, s);
        }
    }
    free_list(list, n);
    remove_leftovers(run_dir);
    return status;
}

int checkpoint_drop_after(const char *run_dir, uint64_t step, struct error *err)
{
    struct dirent **list;
    const int n = list_checkpoints(run_dir, &list, err);
    if (n < 0)
        return -1;
    int status = 0;
    for (int i = 0; i < n && !status && step_of(list[i]->d_name) > step; i++)
        status = remove_file(run_dir, list[i]->d_name, err);
    free_list(list, n);
    return status;
}
