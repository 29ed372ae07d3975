/* temp_tokens.c: see temp_tokens.h. */
#include "data/temp_tokens.h"
#include "base/atomic.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct temp_tokens {
    FILE *file;
    char dir[]; /* for error messages */
};

struct temp_tokens *temp_tokens_create(const char *dir, struct error *err)
{
    char path[PATH_MAX], temporary[PATH_MAX], parent[PATH_MAX];
    struct temp_tokens *t = malloc(sizeof *t + strlen(dir) + 1);
    if (!t)
        return fail_null(err, "%s: out of memory", dir);
    strcpy(t->dir, dir);
    /* If the process is killed before unlink, a later run removes the file (corpus_owns). */
    errno = ENAMETOOLONG;
    const int length = snprintf(path, sizeof path, "%s/tokenizer.h5", dir);
    const int fd = length < PATH_MAX ? atomic_open_temporary(path, temporary, parent) : -1;
    if (fd >= 0)
        unlink(temporary);
    if (fd >= 0 && (t->file = fdopen(fd, "w+b"))) {
        (void)setvbuf(t->file, NULL, _IOFBF, 1 << 20);
        return t;
    }
    fail(err, "%s: cannot create a file in this directory: %s", dir, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(t);
    return NULL;
}

static int write_failed(const struct temp_tokens *t, struct error *err)
{
    return fail(err, "%s: writing tokens: %s", t->dir, strerror(errno));
}

int temp_tokens_append(struct temp_tokens *t, const uint32_t *ids, size_t n, struct error *err)
{
    return fwrite(ids, sizeof *ids, n, t->file) == n ? 0 : write_failed(t, err);
}

int temp_tokens_rewind(struct temp_tokens *t, struct error *err)
{
    return fflush(t->file) == 0 && fseeko(t->file, 0, SEEK_SET) == 0 ? 0 : write_failed(t, err);
}

int temp_tokens_read(struct temp_tokens *t, uint32_t *ids, size_t max, size_t *n, struct error *err)
{
    *n = fread(ids, sizeof *ids, max, t->file);
    return ferror(t->file) ? fail(err, "%s: reading tokens back: %s", t->dir, strerror(errno)) : 0;
}

void temp_tokens_destroy(struct temp_tokens *t)
{
    if (t)
        fclose(t->file);
    free(t);
}
