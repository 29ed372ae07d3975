/* test_inspect.c: the output of handgrad inspect for each kind of file, and its exit status. */
#include "data/shard.h"
#include "tests/test.h"
#include "train/checkpoint/checkpoint.h"
#include "train/cli/command.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct error err;
static char dir[64], output[1 << 16], errors[1 << 16]; /* of the last command */

static char *in_dir(const char *name)
{
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static void enter_dir(void)
{
    strcpy(dir, "/tmp/handgrad-inspect-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void leave_dir(const char *const *names)
{
    unlink(in_dir("out"));
    unlink(in_dir("err"));
    for (; *names; names++)
        unlink(in_dir(*names));
    ck_assert_int_eq(rmdir(dir), 0);
}

static void slurp(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    text[fread(text, 1, size - 1, f)] = 0;
    fclose(f);
}

/* Runs the command with up to two arguments in a child process. Returns its exit status. */
static int inspect(const char *a, const char *b)
{
    char name[] = "handgrad inspect";
    char *argv[] = {name, (char *)a, (char *)b, NULL}, out_path[128], err_path[128];
    int status;
    /* in_dir would overwrite the caller's path */
    snprintf(out_path, sizeof out_path, "%s/out", dir);
    snprintf(err_path, sizeof err_path, "%s/err", dir);
    fflush(NULL);
    const pid_t child = fork();
    if (!child) {
        if (!freopen(out_path, "w", stdout) || !freopen(err_path, "w", stderr))
            _exit(99);
        const int code = command_run(command_inspect, !a ? 1 : !b ? 2 : 3, argv);
        fflush(NULL);
        _exit(code);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    slurp(out_path, output, sizeof output);
    slurp(err_path, errors, sizeof errors);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void ck_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        ck_abort_msg("expected \"%s\" in\n%s", part, text);
}

/* Writes a small checkpoint in which one parameter (also of m) and one element of v have the given
 * values. */
static void write_checkpoint(const char *path, float param, float v_element)
{
    struct checkpoint c = {.state = {.step = 12,
                                     .smoothed_loss = 2.5,
                                     .val_loss = 2.25,
                                     .best_val_loss = 2.125,
                                     .val_step = 10}};
    struct model_config model;
    config_defaults(&c.config);
    ck_assert_int_eq(config_set(&c.config, "model.n_layer=1", &err), 0);
    ck_assert_int_eq(config_set(&c.config, "model.n_embd=8", &err), 0);
    ck_assert_int_eq(config_set(&c.config, "train.seed=18446744073709551615", &err), 0);
    strcpy(c.data_fingerprint, "feed");
    c.tokenizer = tokenizer_create_byte(&err);
    ck_assert_int_eq(config_model(&c.config, 256, &model, "test", &err), 0);
    c.tensors = tensors_create(&model);
    float *params = calloc(c.tensors->total, sizeof *params),
          *v = calloc(c.tensors->total, sizeof *v);
    const struct tensor *t = tensors_find(c.tensors, LN_F_WEIGHT, 0);
    params[t->offset + 3] = param;
    v[t->offset + 4] = v_element;
    c.params = c.m = params;
    c.v = v;
    if (checkpoint_write(&c, path, &err))
        ck_abort_msg("%s", err.text);
    free(params);
    free(v);
    tensors_destroy(c.tensors);
    tokenizer_destroy(c.tokenizer);
}

START_TEST(checkpoint_as_text)
{
    enter_dir();
    const char *path = in_dir("c.h5");
    write_checkpoint(path, 2, 1);
    ck_assert_int_eq(inspect(path, NULL), 0);
    ck_assert_str_eq(errors, "");
    ck_contains(output, "c.h5  checkpoint, ");
    ck_contains(output, "\n  step              12\n");
    ck_contains(output, "\n  best_val_loss     2.125\n");
    ck_contains(output, "\n  model             n_layer 1, n_head 4, n_embd 8, block_size 64, ");
    ck_contains(output, "bias no,");
    ck_contains(output, "seed 18446744073709551615");
    ck_contains(output, "h.0.attn.c_attn.weight  (8, 24) ");
    ck_contains(output, "ln_f.weight             (8)                   0.25");
    ck_assert_ptr_null(strstr(output, "verified"));
    ck_assert_int_eq(inspect(path, "--verify"), 0);
    ck_contains(output, "\n  verified          yes\n");
    leave_dir((const char *const[]){"c.h5", NULL});
}
END_TEST

START_TEST(checkpoint_as_json)
{
    enter_dir();
    const char *path = in_dir("c.h5");
    write_checkpoint(path, 2, 1);
    ck_assert_int_eq(inspect("--json", path), 0);
    ck_assert_ptr_eq(strchr(output, '\n'), output + strlen(output) - 1);
    ck_contains(output, "\"seed\":18446744073709551615");
    cJSON *o = cJSON_Parse(output);
    ck_assert_ptr_nonnull(o);
    ck_assert_str_eq(cJSON_GetObjectItem(o, "kind")->valuestring, "checkpoint");
    ck_assert_double_eq(cJSON_GetObjectItem(o, "step")->valuedouble, 12);
    ck_assert_double_eq(cJSON_GetObjectItem(o, "val_loss")->valuedouble, 2.25);
    const cJSON *tensors = cJSON_GetObjectItem(o, "tensors"),
                *model = cJSON_GetObjectItem(cJSON_GetObjectItem(o, "config"), "model");
    ck_assert_int_eq(cJSON_GetArraySize(tensors), 2 + 6 + 1);
    ck_assert(cJSON_IsFalse(cJSON_GetObjectItem(model, "bias")));
    ck_assert_double_eq(cJSON_GetObjectItem(cJSON_GetArrayItem(tensors, 8), "max")->valuedouble, 2);
    ck_assert_ptr_null(cJSON_GetObjectItem(o, "verified"));
    cJSON_Delete(o);
    leave_dir((const char *const[]){"c.h5", NULL});
}
END_TEST

START_TEST(verify_reports_every_problem)
{
    enter_dir();
    const char *path = in_dir("c.h5");
    write_checkpoint(path, NAN, -1);
    ck_assert_int_eq(inspect(path, NULL), 0);
    ck_contains(output, "1 NOT FINITE");
    ck_assert_int_eq(inspect(path, "--verify"), 1);
    ck_contains(errors,
                "c.h5: params/ln_f.weight: 1 of 8 numbers are not finite, the first at index 3\n");
    ck_contains(errors, "c.h5: adamw/m/ln_f.weight: 1 of 8 numbers are not finite");
    ck_contains(errors, "c.h5: adamw/v/ln_f.weight: 1 of 8 second moments are negative\n");
    ck_contains(output, "\n  verified          no\n");
    ck_assert_int_eq(truncate(path, 3000), 0);
    ck_assert_int_eq(inspect(path, NULL), 1);
    ck_contains(errors, "c.h5: truncated: ");
    ck_assert_str_eq(output, "");
    leave_dir((const char *const[]){"c.h5", NULL});
}
END_TEST

START_TEST(tokenizers)
{
    enter_dir();
    static const uint32_t letters[] = {'\n', 27, 'a', 0x85, 0xe9, 0x20ac};
    struct tokenizer *t = tokenizer_create_char(letters, 6, &err);
    const char *path = in_dir("tokenizer.h5");
    ck_assert_int_eq(tokenizer_save(t, path, &err), 0);
    ck_assert_int_eq(inspect(path, "--verify"), 0);
    ck_contains(output, "tokenizer.h5  tokenizer, ");
    ck_contains(output, "\n  tokenizer         char\n  vocab_size        6\n");
    ck_contains(output, "symbols           \\n\\x1ba\\xc2\\x85é€\n");
    ck_contains(output, t->fingerprint);
    ck_assert_int_eq(inspect(path, "--json"), 0);
    ck_contains(output, "\"vocab_size\":6");
    tokenizer_destroy(t);
    leave_dir((const char *const[]){"tokenizer.h5", NULL});
}
END_TEST

static int five_tokens(void *context, uint64_t first, size_t n, uint32_t *ids, uint64_t *bytes,
                       struct error *e)
{
    static const uint32_t IDS[] = {1, DOCUMENT_BEGIN | 2, 3, DOCUMENT_BEGIN | 2, 1};
    (void)context, (void)first, (void)e;
    memcpy(ids, IDS, n * sizeof *ids);
    *bytes += n;
    return 0;
}

START_TEST(shards)
{
    enter_dir();
    struct tokenizer *t = tokenizer_create_byte(&err);
    struct shard_info info = {
        .split = "train", .count = 1, .tokenizer_kind = "byte", .vocab_size = 256, .tokens = 5};
    snprintf(info.tokenizer_fingerprint, sizeof info.tokenizer_fingerprint, "%s", t->fingerprint);
    snprintf(info.corpus, sizeof info.corpus, "%s", t->fingerprint);
    info.sources =
        "[{\"path\":\"a\\u001b.txt\",\"bytes\":1234,\"sha256\":\"00112233445566778899\"}]";
    info.has_documents = true;
    const char *path = in_dir("train-00000.h5");
    if (shard_write(path, &info, five_tokens, NULL, &err))
        ck_abort_msg("%s", err.text);
    ck_assert_int_eq(inspect(path, "--verify"), 0);
    ck_contains(output, "train-00000.h5  shard, ");
    ck_contains(output, "\n  split             train\n");
    ck_contains(output, "\n  tokens            5\n");
    ck_contains(output, "\n  documents         2\n");
    ck_contains(output, "path a\\x1b.txt, bytes 1,234, sha256 00112233445566778899\n");
    ck_assert_ptr_null(strchr(output, 27));
    ck_contains(output, "verified          yes");
    ck_assert_int_eq(inspect(path, "--json"), 0);
    cJSON *o = cJSON_Parse(output);
    ck_assert_double_eq(cJSON_GetObjectItem(o, "tokens")->valuedouble, 5);
    ck_assert_double_eq(cJSON_GetObjectItem(o, "documents")->valuedouble, 2);
    cJSON_Delete(o);
    tokenizer_destroy(t);
    leave_dir((const char *const[]){"train-00000.h5", NULL});
}
END_TEST

START_TEST(wrong_usage_and_other_files)
{
    enter_dir();
    const char *path = in_dir("x.h5");
    ck_assert_int_eq(inspect(path, NULL), 1);
    ck_contains(errors, "x.h5: No such file or directory\n");
    FILE *f = fopen(path, "w");
    fputs("hello\n", f);
    fclose(f);
    ck_assert_int_eq(inspect(path, "--json"), 1);
    ck_contains(errors, "x.h5: not an HDF5 file");
    ck_assert_int_eq(inspect(dir, NULL), 1);
    ck_assert_int_eq(inspect(NULL, NULL), 2);
    ck_assert_int_eq(inspect(path, path), 2);
    ck_assert_int_eq(inspect(path, "--nonsense"), 2);
    ck_assert_int_eq(inspect("--help", NULL), 0);
    leave_dir((const char *const[]){"x.h5", NULL});
}
END_TEST

SUITE("train/inspect", checkpoint_as_text, checkpoint_as_json, verify_reports_every_problem,
      tokenizers, shards, wrong_usage_and_other_files)
