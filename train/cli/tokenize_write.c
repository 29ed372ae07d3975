/* tokenize_write.c: from the spooled tokens to shards. See tokenize.h. */
#include "base/minmax.h"
#include "base/stop.h"
#include "data/encoder.h"
#include "data/shard.h"
#include "train/cli/tokenize.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 1 << 16 };

/* Whether a split may begin with this token: a document where there are any, else a character. */
static bool may_begin(const struct tokenize_job *j, uint32_t id)
{
    if (j->documents)
        return id & ENCODER_DOCUMENT;
    return strcmp(tokenizer_kind(j->tokenizer), "byte") != 0 || (id & 0xC0) != 0x80;
}

/* The last place up to `at` where a split may begin, or `at` where there is none. */
static int find_cut(struct tokenize_job *j, uint64_t at, uint64_t *cut, struct error *err)
{
    uint32_t *ids = malloc(PIECE * sizeof *ids);
    uint64_t first = 0;
    size_t n = 0;
    int status = ids ? temp_tokens_rewind(j->spool, err) : fail(err, "out of memory");
    *cut = 0;
    while (status == 0 && first <= at &&
           (status = temp_tokens_read(j->spool, ids, PIECE, &n, err)) == 0 && n > 0) {
        for (size_t i = 0; i < n && first + i <= at; i++)
            if (may_begin(j, ids[i]))
                *cut = first + i;
        first += n;
    }
    if (*cut == 0 && j->documents > 0) /* one document: it is divided */
        *cut = at;
    free(ids);
    return status;
}

static int check_shards(const struct tokenize_job *j, struct error *err)
{
    const uint64_t val = j->tokens - j->train, longer = j->train > val ? j->train : val,
                   max = j->options->shard_tokens;
    if (ceil_div(longer, max) > SHARD_MAX_COUNT)
        return fail(err, "--shard-tokens %llu: %llu tokens of a split make more than %d shards",
                    (unsigned long long)max, (unsigned long long)longer, SHARD_MAX_COUNT);
    return 0;
}

/* floor(n (1 - val)), as nanoGPT's int(n * 0.9). The rounding of the product may not move the cut. */
int tokenize_divide(struct tokenize_job *j, struct error *err)
{
    const double val = j->options->val;
    j->train = j->tokens;
    if (val > 0 &&
        find_cut(j, (uint64_t)floor((double)j->tokens * (1 - val) * (1 + 4 * DBL_EPSILON)),
                 &j->train, err) != 0)
        return -1;
    if (j->train == 0 || (val > 0 && j->train >= j->tokens))
        return fail(err, "%s: %llu tokens are too few to cut a val split of --val %g off",
                    j->options->texts[0], (unsigned long long)j->tokens, val);
    return check_shards(j, err);
}

static int write_shards(struct tokenize_job *j, struct corpus_writer *w, struct error *err)
{
    uint32_t *ids = malloc(PIECE * sizeof *ids);
    uint64_t done = 0;
    size_t n = 0;
    int status = ids ? temp_tokens_rewind(j->spool, err) : fail(err, "out of memory");
    progress_begin(&j->progress, "writing", j->tokens, "M tokens", 1e6);
    while (status == 0 && (status = temp_tokens_read(j->spool, ids, PIECE, &n, err)) == 0 &&
           n > 0) {
        status = stop_requested() ? fail(err, "stopped") : corpus_writer_append(w, ids, n, err);
        progress_set(&j->progress, done += n);
    }
    progress_end(&j->progress);
    free(ids);
    return status;
}

int tokenize_write(struct tokenize_job *j, struct error *err)
{
    char *sources = text_json(&j->text);
    if (!sources)
        return fail(err, "out of memory");
    const struct corpus_plan plan = {
        j->options->dir,          j->tokenizer,     j->train, j->tokens - j->train,
        j->options->shard_tokens, j->documents > 0, sources};
    struct corpus_writer *w = corpus_writer_create(&plan, err);
    int status = w ? write_shards(j, w, err) : -1;
    if (status == 0)
        status = corpus_writer_finish(w, err);
    else
        corpus_writer_discard(w);
    free(sources);
    return status;
}
