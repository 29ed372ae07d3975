/* gradcheck_diagnose.c: handgrad gradcheck --diagnose OP FILE.so. */
#include "train/grade/diagnosis.h"
#include "train/grade/gradcheck_report.h"
#include "train/json.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char *const verdicts[] = {"not given", "right", "known mistake", "wrong"};

/* {"verdict": …, "text": …, "mistakes": […], "cases": …, "passed": …, "results": […]} */
static cJSON *finding_json(const struct finding *f)
{
    cJSON *o = json_add(NULL, FIELDS(TEXT("verdict", verdicts[f->verdict]), TEXT("text", f->text),
                                     NUMBER("cases", f->cases), NUMBER("passed", f->passed)));
    cJSON *mistakes = cJSON_AddArrayToObject(o, "mistakes");
    cJSON *results = cJSON_AddArrayToObject(o, "results");
    for (int i = 0; i < 2 && f->mistake[i]; i++)
        cJSON_AddItemToArray(
            mistakes,
            json_add(NULL, FIELDS(TEXT("op", op_info[f->mistake[i]->op].name),
                                  TEXT("id", f->mistake[i]->id), TEXT("name", f->mistake[i]->name),
                                  TEXT("why", f->mistake[i]->why))));
    for (size_t i = 0; i < f->results; i++)
        cJSON_AddItemToArray(
            results,
            json_add(NULL,
                     FIELDS(TEXT("name", f->result[i].name),
                            TEXT("verdict", verdicts[f->result[i].right ? RIGHT : UNKNOWN_MISTAKE]),
                            NUMBER("error", f->result[i].error))));
    return o;
}

/* One object in every case: "reason" says why there is no verdict. */
static void print_json(const struct gradcheck_options *o, const struct diagnosis *d,
                       const char *reason, bool right)
{
    cJSON *object =
        json_add(NULL, FIELDS(TEXT("op", op_info[o->diagnosed].name), TEXT("file", o->library),
                              TEXT("verdict", reason  ? "none"
                                              : right ? "right"
                                                      : "wrong")));
    if (reason)
        cJSON_AddStringToObject(object, "reason", reason);
    else
        cJSON_AddNullToObject(object, "reason");
    cJSON_AddItemToObject(object, "forward", finding_json(&d->finding[0]));
    cJSON_AddItemToObject(object, "backward", finding_json(&d->finding[1]));
    cJSON_AddItemToObject(object, "printed", json_string(d->printed, strlen(d->printed)));
    json_print(object);
}

/* Each line of what the code has printed is marked, as it is not part of the answer. */
static void print_printed(const struct diagnosis *d)
{
    for (const char *line = d->printed; *line;) {
        const int n = strcspn(line, "\n");
        fprintf(stderr, "printed by your code: %.*s\n", n, line);
        line += n + (line[n] == '\n');
    }
}

int gradcheck_diagnose(const struct gradcheck_options *o, struct error *err)
{
    /* A bare name is a file in this directory, not one on the library path. */
    char path[4096];
    static struct diagnosis d;
    d = (struct diagnosis){0};
    int status = 0;
    if (snprintf(path, sizeof path, "%s%s", strchr(o->library, '/') ? "" : "./", o->library) >=
        (int)sizeof path)
        status = fail(err, "%.100s…: the path is too long", o->library);
    else if (access(path, R_OK))
        status = fail(err, "%s: %s", o->library, strerror(errno));
    else
        status = diagnose(&d, o->diagnosed, path, err);
    const bool right = !status && d.finding[0].verdict <= RIGHT && d.finding[1].verdict <= RIGHT;
    if (o->json)
        print_json(o, &d, status ? err->text : NULL, right);
    else
        print_printed(&d);
    for (int i = 0; i < 2 && !status && !o->json; i++)
        if (d.finding[i].verdict != NOT_GIVEN)
            puts(d.finding[i].text);
    return !right;
}
