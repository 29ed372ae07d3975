/* jsonl.c: see jsonl.h. */
#include "base/jsonl.h"
#include "base/append.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Returns where the leading lines of steps up to `step` end; an incomplete line ends them too. */
static off_t end_of_lines(FILE *f, uint64_t step, uint64_t *last)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;
    off_t end = 0;
    *last = 0;
    while ((n = getline(&line, &size, f)) > 0 && line[n - 1] == '\n') {
        cJSON *object = cJSON_ParseWithLength(line, (size_t)n);
        const cJSON *s = cJSON_GetObjectItemCaseSensitive(object, "step");
        const bool keep =
            cJSON_IsNumber(s) && s->valuedouble >= 0 && s->valuedouble <= (double)step;
        if (keep)
            *last = (uint64_t)s->valuedouble;
        cJSON_Delete(object);
        if (!keep)
            break;
        end += n;
    }
    free(line);
    return end;
}

int jsonl_cut_after(struct jsonl *j, uint64_t step, struct error *err)
{
    FILE *f = fopen(j->path, "re");
    if (!f)
        return fail(err, "%s: %s", j->path, strerror(errno));
    j->end = end_of_lines(f, step, &j->last);
    fclose(f);
    return ftruncate(j->fd, j->end) ? fail(err, "%s: %s", j->path, strerror(errno)) : 0;
}

int jsonl_open(struct jsonl *j, const char *run_dir, const char *name, uint64_t step,
               struct error *err)
{
    *j = (struct jsonl){.fd = -1};
    if (asprintf(&j->path, "%s/%s", run_dir, name) < 0) {
        j->path = NULL;
        return fail(err, "%s/%s: out of memory", run_dir, name);
    }
    j->fd = open(j->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | (step ? 0 : O_TRUNC), 0666);
    if (j->fd < 0)
        return fail(err, "%s: %s", j->path, strerror(errno));
    return step ? jsonl_cut_after(j, step, err) : 0;
}

void jsonl_close(struct jsonl *j)
{
    if (j->path && j->fd >= 0)
        close(j->fd);
    free(j->path);
    *j = (struct jsonl){.fd = -1};
}

void jsonl_append(struct jsonl *j, uint64_t step, const char *line, size_t size)
{
    const bool failed = append_whole(j->fd, &j->end, line, size) != 0;
    if (!failed)
        j->last = step;
    else if (!j->failing)
        fprintf(stderr, "handgrad: %s: %s; lines are lost, training continues\n", j->path,
                strerror(errno));
    j->failing = failed;
}
