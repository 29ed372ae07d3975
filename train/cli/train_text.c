/* train_text.c: handgrad train TEXT: tokenizes the text and chooses the configuration. */
#include "train/cli/train_text.h"
#include "base/directories.h"
#include "data/corpus/tokenize.h"
#include "data/shard.h"
#include "train/checkpoint/run_directory.h"
#include "train/config/config_for_text.h"
#include "train/peak.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool is_configuration(const char *path)
{
    const char *end = strrchr(path, '.');
    struct stat s;
    char line[4096] = "[x]"; /* of an empty file, which is one */
    if ((end && !strcmp(end, ".ini")) || stat(path, &s) || !S_ISREG(s.st_mode))
        return stat(path, &s) || !S_ISDIR(s.st_mode);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f) && strchr("#;\n", line[strspn(line, " \t\r")]))
        ;
    if (f)
        fclose(f);
    int n = 0;
    sscanf(line, " [%*[a-z]]%n", &n);
    return n > 0 && strchr(";#\n", line[n + strspn(line + n, " \t\r")]);
}

void default_run(char path[RUN_PATH_MAX], const char *text)
{
    const char *slash = strrchr(text, '/'), *name = slash && slash[1] ? slash + 1 : text;
    int n = strcspn(name, "/");
    for (int i = 1; i < n; i++)
        if (name[i] == '.')
            n = i;
    snprintf(path, RUN_PATH_MAX, "%.*s-run", n < CONFIG_PATH_MAX ? n : CONFIG_PATH_MAX, name);
}

/* Tokenizes the texts to c->data.dir, which is removed again if that fails. */
static int tokenize_texts(const struct config *c, const struct operand_list *texts, const char *run,
                          struct tokenize_result *r, struct error *err)
{
    const struct tokenize_plan plan = {.texts = (const char *const *)texts->items,
                                       .n_texts = texts->n,
                                       .dir = c->data.dir,
                                       .tokenizer = "bpe",
                                       .shard_tokens = SHARD_TOKENS,
                                       .val = 0.1,
                                       .force = true};
    bool created;
    if (make_directories(run, &created, err))
        return -1;
    if (!tokenize(&plan, r, err))
        return 0;
    if (created)
        rmdir(run);
    return -1;
}

int prepare_text(struct config *c, const struct operand_list *texts,
                 const struct string_list *settings, const char *run, double minutes,
                 struct error *err)
{
    const double efficiency = 0.4; /* of the peak, of small models: `handgrad bench` */
    char path[RUN_PATH_MAX];
    struct config asked;
    struct tokenize_result r;
    config_defaults(c);
    config_defaults(&asked);
    for (size_t i = 0; i < settings->n; i++)
        if (config_set(&asked, settings->items[i], err))
            return -1;
    if (!access(run_path(path, run, "config.ini"), F_OK))
        return fail(err,
                    "%s: already holds a run; `handgrad train --out %s --resume` continues it, and "
                    "another --out starts a new one",
                    run, run);
    snprintf(c->data.dir, sizeof c->data.dir, "%s/data", run);
    if (tokenize_texts(c, texts, run, &r, err))
        return -1;
    const bool fixed = asked.train.steps != c->train.steps;
    const double rate = 60 * efficiency * float32_peak().flops;
    const double time = config_for_text(c, r.train_tokens, r.vocab_size, minutes * rate,
                                        fixed ? asked.train.steps : 0) /
                        rate;
    printf("%s: %" PRIu64 " tokens of a vocabulary of %zu (%s) in %s\n", texts->items[0], r.tokens,
           r.vocab_size, r.kind, c->data.dir);
    printf("chosen: %" PRIu64 " steps, which read the text %.1f times, in about %.2g min on "
           "this machine; %s/config.ini has all settings\n",
           c->train.steps, config_epochs(c, r.train_tokens), time, run);
    return settings_apply(settings, c, texts->items[0], err);
}
