/* tokenize.c: see tokenize.h. */
#include "data/corpus/tokenize.h"
#include "base/array.h"
#include "base/input_file.h"
#include "base/minmax.h"
#include "base/stop.h"
#include "base/utf8.h"
#include "data/corpus/corpus.h"
#include "data/corpus/encoder.h"
#include "data/corpus/tokenize_job.h"
#include "data/shard.h"
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool has_documents(const struct tokenize_job *j)
{
    return *j->separator || j->plan->document_files || j->text.documents;
}

/* A text_reader: passes the text on. */
static int take_piece(void *job, const struct text_file *file, const char *piece, size_t n,
                      uint64_t offset, struct error *err)
{
    struct tokenize_job *j = job;
    (void)offset;
    j->result->bytes += n;
    progress_set(&j->progress, j->result->bytes);
    if (stop_requested())
        return fail(err, "stopped");
    if (j->tokens) { /* encoding, the last time the text is read */
        occurrences_add(&j->ends, piece, n);
        occurrences_add(&j->separators, piece, n);
    }
    const bool ends = j->plan->document_files || j->text.documents;
    const int status = n > 0  ? pretokenizer_append(j->input, piece, n, err)
                       : ends ? pretokenizer_end_document(j->input, err)
                              : pretokenizer_end_file(j->input, err);
    if (status != 0 && !(j->tokens && ferror(j->tokens)))
        fail(err, "%s: %s", file->path, err->text);
    return status;
}

int read_text(struct tokenize_job *j, const char *what, struct pretokenizer *input,
              struct error *err)
{
    j->input = input;
    j->result->bytes = 0;
    progress_begin(&j->progress, what, j->total_bytes, "MB", 1e6);
    if (text_read(&j->text, take_piece, j, err))
        return -1;
    j->total_bytes = j->result->bytes;
    return j->total_bytes ? 0 : fail(err, "%s: no text", j->plan->texts[0]);
}

/* --- encoding --- */

static int add_document(struct tokenize_job *j, uint64_t begin, struct error *err)
{
    struct documents *d = &j->documents;
    if (!array_reserve(&d->begins, &j->capacity, d->count + 1))
        return fail(err, "out of memory for %zu documents", d->count);
    d->begins[d->count++] = begin;
    return 0;
}

static int save_tokens(void *job, const uint32_t *ids, size_t n, struct error *err)
{
    struct tokenize_job *j = job;
    for (size_t i = 0; i < n; i++)
        if (ids[i] & DOCUMENT_BEGIN && add_document(j, j->result->tokens + i, err))
            return -1;
    j->result->tokens += n;
    return fwrite(ids, sizeof *ids, n, j->tokens) == n
               ? 0
               : fail(err, "%s: writing tokens: %s", j->plan->dir, strerror(errno));
}

static int encode(struct tokenize_job *j, struct error *err)
{
    const struct encoder_config config = {.tokenizer = j->tokenizer,
                                          .separator = j->separator,
                                          .documents = has_documents(j),
                                          .sink = save_tokens,
                                          .context = j};
    struct encoder *e = (j->tokens = corpus_temporary_file(j->plan->dir, err))
                            ? encoder_create(&config, err)
                            : NULL;
    int status =
        e && read_text(j, "encoding", encoder_input(e), err) == 0 ? encoder_finish(e, err) : -1;
    if (status == 0 && fflush(j->tokens) != 0)
        status = fail(err, "%s: writing tokens: %s", j->plan->dir, strerror(errno));
    encoder_destroy(e);
    progress_end(&j->progress);
    if (status == 0 && j->result->tokens == 0)
        status = fail(err, "%s: no text but separators", j->plan->texts[0]);
    return status;
}

/* --- dividing and writing --- */

/* Reads tokens [first, first + n) of the text. */
static int read_tokens(struct tokenize_job *j, uint64_t first, size_t n, uint32_t *ids,
                       struct error *err)
{
    return input_file_read(fileno(j->tokens), first * sizeof *ids, ids, n * sizeof *ids,
                           j->plan->dir, err);
}

/* Finds the last position up to `at` where a character begins, which is at most 3 bytes before, so
 * at most 3 tokens, unless the text is not UTF-8. */
static int find_cut(struct tokenize_job *j, uint64_t at, uint64_t *cut, struct error *err)
{
    uint32_t ids[UTF8_MAX];
    const size_t n = size_min(at + 1, UTF8_MAX);
    if (at == j->result->tokens || read_tokens(j, at + 1 - n, n, ids, err))
        return *cut = at, at == j->result->tokens ? 0 : -1;
    *cut = at;
    for (size_t i = n, length; i-- > 0; --*cut) {
        const char *bytes = tokenizer_bytes(j->tokenizer, ids[i], &length);
        if (!length || (*bytes & 0xC0) != 0x80)
            return 0;
    }
    *cut = at;
    return 0;
}

/* Without documents, the training split ends at floor(n (1 - val)), as nanoGPT's int(n * 0.9), or
 * in front of the character there. The factor keeps rounding errors of the product from moving
 * the cut. */
static int divide_text(struct tokenize_job *j, struct error *err)
{
    const double val = j->plan->val;
    const uint64_t n = j->result->tokens;
    uint64_t train = n;
    if (val > 0 &&
        find_cut(j, (uint64_t)floor((double)n * (1 - val) * (1 + 4 * DBL_EPSILON)), &train, err))
        return -1;
    return division_at(&j->division, train, n) ? fail(err, "out of memory") : 0;
}

static int divide_documents(struct tokenize_job *j, struct error *err)
{
    j->documents.tokens = j->result->tokens;
    if (j->documents.count == 1)
        return fail(err,
                    "%s: a single document cannot be divided into train and val; --val 0 makes "
                    "no validation split",
                    j->plan->texts[0]);
    return division_by_documents(&j->division, &j->documents, j->plan->val, j->plan->val_seed)
               ? fail(err, "out of memory for %zu documents", j->documents.count)
               : 0;
}

static int divide(struct tokenize_job *j, struct error *err)
{
    const double val = j->plan->val;
    const uint64_t n = j->result->tokens, max = j->plan->shard_tokens;
    if (j->plan->val_seed && !j->documents.count)
        return fail(err, "--val-seed: the text has no documents: expected JSON lines, "
                         "--document-separator or --document-files");
    if (j->documents.count && val > 0 ? divide_documents(j, err) : divide_text(j, err))
        return -1;
    const uint64_t train = j->division.train, longer = size_max(train, n - train);
    if (train == 0 || (val > 0 && train >= n))
        return fail(err, "%s: %" PRIu64 " tokens are too few for a validation split of --val %g",
                    j->plan->texts[0], n, val);
    if (ceil_div(longer, max) > SHARD_MAX_COUNT)
        return fail(err,
                    "--shard-tokens %" PRIu64 ": %" PRIu64
                    " tokens of a split make more than %d shards",
                    max, longer, SHARD_MAX_COUNT);
    j->result->documents = j->documents.count;
    j->result->val_documents = j->division.val_documents;
    j->result->separators = j->separators.count;
    j->result->ends = j->ends.count;
    j->result->train_tokens = train;
    return 0;
}

/* Reads tokens [first, first + n) in the order of writing, for corpus_write. */
static int next_tokens(void *job, uint64_t first, size_t n, uint32_t *ids, struct error *err)
{
    struct tokenize_job *j = job;
    progress_set(&j->progress, first);
    if (stop_requested())
        return fail(err, "stopped");
    for (uint64_t length; n > 0; first += length, ids += length, n -= length) {
        const uint64_t begin = division_find(&j->division, first, &length);
        length = size_min(length, n);
        if (read_tokens(j, begin, length, ids, err))
            return -1;
    }
    return 0;
}

static int write_shards(struct tokenize_job *j, struct error *err)
{
    const struct tokenize_result *r = j->result;
    char *sources = text_json(&j->text);
    if (!sources)
        return fail(err, "out of memory");
    const struct corpus_plan plan = {.dir = j->plan->dir,
                                     .tokenizer = j->tokenizer,
                                     .train = r->train_tokens,
                                     .val = r->tokens - r->train_tokens,
                                     .max_tokens = j->plan->shard_tokens,
                                     .documents = r->documents > 0,
                                     .val_seed = j->plan->val_seed,
                                     .sources = sources,
                                     .read = next_tokens,
                                     .context = j};
    progress_begin(&j->progress, "writing", r->tokens, "M tokens", 1e6);
    const int status = corpus_write(&plan, err);
    progress_end(&j->progress);
    free(sources);
    return status;
}

/* --- the whole job --- */

static int collect_text(struct tokenize_job *j, const struct corpus_dir *dir, struct error *err)
{
    struct stat output, s;
    j->text.directory = dir->path;
    j->text.json_field = j->plan->json_field;
    if (fstat(dir->fd, &output) != 0)
        return fail(err, "%s: %s", dir->path, strerror(errno));
    for (size_t i = 0; i < j->plan->n_texts; i++)
        if (text_add(&j->text, j->plan->texts[i], &output, err))
            return -1;
    for (size_t i = 0; i < j->text.n; i++)
        if (j->text.files[i].copy ? fstat(fileno(j->text.files[i].copy), &s) == 0
                                  : stat(j->text.files[i].path, &s) == 0)
            j->total_bytes += (uint64_t)s.st_size;
    return 0;
}

static int run(struct tokenize_job *j, struct corpus_dir *dir, struct error *err)
{
    if (corpus_dir_is_taken(dir) && !j->plan->force)
        return fail(err, "%s: already holds shards or a tokenizer (--force replaces them)",
                    j->plan->dir);
    if (collect_text(j, dir, err) || build_tokenizer(j, err) || encode(j, err) || divide(j, err) ||
        corpus_dir_clear(dir, err))
        return -1;
    if (write_shards(j, err)) {
        corpus_dir_clear(dir, NULL);
        return -1;
    }
    j->result->files = j->text.n;
    j->result->vocab_size = j->tokenizer->vocab_size;
    j->result->kind = j->tokenizer->kind;
    return 0;
}

int tokenize(const struct tokenize_plan *plan, struct tokenize_result *result, struct error *err)
{
    struct tokenize_job j = {
        .plan = plan, .result = result, .separator = plan->separator ? plan->separator : ""};
    if (*j.separator)
        j.separators.string = j.separator;
    if (!strstr(j.separator, END_OF_TEXT))
        j.ends.string = END_OF_TEXT;
    struct corpus_dir dir;
    *result = (struct tokenize_result){0};
    if (corpus_dir_open(&dir, plan->dir, err))
        return -1;
    const int status = run(&j, &dir, err);
    corpus_dir_close(&dir, status != 0);
    if (j.tokens)
        fclose(j.tokens);
    division_free(&j.division);
    free(j.documents.begins);
    tokenizer_destroy(j.tokenizer);
    text_free(&j.text);
    return status;
}
