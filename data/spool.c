/* spool.c: see spool.h. */
#include "data/spool.h"
#include "base/atomic.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER = 1 << 20 };

struct spool {
    char *folder;
    FILE *file;
};

struct spool *spool_create(const char *folder, struct error *err)
{
    char path[PATH_MAX], temporary[PATH_MAX], parent[PATH_MAX];
    struct spool *s = calloc(1, sizeof *s);
    if (!s || !(s->folder = strdup(folder))) {
        fail(err, "%s: out of memory", folder);
        spool_destroy(s);
        return NULL;
    }
    /* A name that a later run would clear away, should this one be killed before the next line (corpus_owns). */
    const int length = snprintf(path, sizeof path, "%s/tokenizer.h5", folder);
    const int fd = length < PATH_MAX ? atomic_open_temporary(path, temporary, parent) : -1;
    if (fd >= 0)
        unlink(temporary);
    if (fd < 0 || !(s->file = fdopen(fd, "w+b"))) {
        fail(err, "%s: cannot make a file here: %s", folder,
             strerror(length < PATH_MAX ? errno : ENAMETOOLONG));
        if (fd >= 0)
            close(fd);
        spool_destroy(s);
        return NULL;
    }
    (void)setvbuf(s->file, NULL, _IOFBF, BUFFER);
    return s;
}

static int write_failed(const struct spool *s, struct error *err)
{
    return fail(err, "%s: writing tokens: %s", s->folder, strerror(errno));
}

int spool_append(struct spool *s, const uint32_t *ids, size_t n, struct error *err)
{
    return fwrite(ids, sizeof *ids, n, s->file) == n ? 0 : write_failed(s, err);
}

int spool_rewind(struct spool *s, struct error *err)
{
    return fflush(s->file) == 0 && fseeko(s->file, 0, SEEK_SET) == 0 ? 0 : write_failed(s, err);
}

int spool_read(struct spool *s, uint32_t *ids, size_t max, size_t *n, struct error *err)
{
    *n = fread(ids, sizeof *ids, max, s->file);
    return ferror(s->file) ? fail(err, "%s: reading tokens back: %s", s->folder, strerror(errno))
                           : 0;
}

void spool_destroy(struct spool *s)
{
    if (!s)
        return;
    if (s->file)
        fclose(s->file);
    free(s->folder);
    free(s);
}
