/* test_inspect.c: what `handgrad inspect` says of each kind of file, and the exit code that scripts rely on. */
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
static char dir[64], said[1 << 16], complained[1 << 16];

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

/* Runs the command with up to two arguments in a process of its own; what it printed is in said and complained. */
static int inspect(const char *a, const char *b)
{
    char name[] = "handgrad inspect";
    char *argv[] = {name, (char *)a, (char *)b, NULL}, out[128], errors[128];
    int status;
    snprintf(out, sizeof out, "%s/out", dir); /* not in_dir: the caller's path stays */
    snprintf(errors, sizeof errors, "%s/err", dir);
    fflush(NULL);
    const pid_t child = fork();
    if (!child) {
        if (!freopen(out, "w", stdout) || !freopen(errors, "w", stderr))
            _exit(99);
        const int code = command_inspect(!a ? 1 : !b ? 2 : 3, argv);
        fflush(NULL);
        _exit(code);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    slurp(out, said, sizeof said);
    slurp(errors, complained, sizeof complained);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void ck_says(const char *text, const char *part)
{
    if (!strstr(text, part))
        ck_abort_msg("expected \"%s\" in\n%s", part, text);
}

/* A small checkpoint; the elements i of params and v are set to a number of one's own. */
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

START_TEST(checkpoint_in_words)
{
    enter_dir();
    const char *path = in_dir("c.h5");
    write_checkpoint(path, 2, 1);
    ck_assert_int_eq(inspect(path, NULL), 0);
    ck_assert_str_eq(complained, "");
    ck_says(said, "c.h5  checkpoint at step 12, ");
    ck_says(said, "1 layers, 4 heads, 8 wide, context 64, 256 symbols, no biases");
    ck_says(said, "val loss    2.2500 at step 10; best 2.1250 at step 0");
    ck_says(said, "h.0.attn.c_attn.weight  (8, 24) ");
    ck_says(said, "ln_f.weight             (8)                   0.25");
    ck_assert_ptr_null(strstr(said, "verified"));
    ck_assert_int_eq(inspect(path, "--verify"), 0);
    ck_says(said, "verified: checksums, types and shapes; every number is finite");
    leave_dir((const char *const[]){"c.h5", NULL});
}
END_TEST

START_TEST(checkpoint_as_json)
{
    enter_dir();
    const char *path = in_dir("c.h5");
    write_checkpoint(path, 2, 1);
    ck_assert_int_eq(inspect("--json", path), 0);
    ck_assert_ptr_eq(strchr(said, '\n'), said + strlen(said) - 1);
    ck_says(said, "\"seed\":18446744073709551615");
    cJSON *o = cJSON_Parse(said);
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

START_TEST(verify_names_what_is_wrong)
{
    enter_dir();
    const char *path = in_dir("c.h5");
    write_checkpoint(path, NAN, -1);
    ck_assert_int_eq(inspect(path, NULL), 0);
    ck_says(said, "1 NOT FINITE");
    ck_assert_int_eq(inspect(path, "--verify"), 1);
    ck_says(complained,
            "c.h5: params/ln_f.weight: 1 of 8 numbers are not finite, the first at index 3\n");
    ck_says(complained, "c.h5: adamw/m/ln_f.weight: 1 of 8 numbers are not finite");
    ck_says(complained, "c.h5: adamw/v/ln_f.weight: 1 of 8 means of squares are negative\n");
    ck_assert_ptr_null(strstr(said, "verified"));
    ck_assert_int_eq(truncate(path, 3000), 0);
    ck_assert_int_eq(inspect(path, NULL), 1);
    ck_says(complained, "c.h5: truncated: ");
    ck_assert_str_eq(said, "");
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
    ck_says(said, "tokenizer.h5  char tokenizer of 6 symbols");
    ck_says(said, "symbols     \\n\\x1ba\\x85é€\n");
    ck_says(said, tokenizer_fingerprint(t));
    ck_assert_int_eq(inspect(path, "--json"), 0);
    ck_says(said, "\"vocab_size\":6");
    tokenizer_destroy(t);
    leave_dir((const char *const[]){"tokenizer.h5", NULL});
}
END_TEST

START_TEST(shards)
{
    enter_dir();
    const uint32_t ids[] = {1, 2, 3, 2, 1};
    struct tokenizer *t = tokenizer_create_byte(&err);
    struct shard_info info = {
        .split = "train", .count = 1, .tokenizer_kind = "byte", .vocab_size = 256, .tokens = 5};
    snprintf(info.tokenizer_fingerprint, sizeof info.tokenizer_fingerprint, "%s",
             tokenizer_fingerprint(t));
    snprintf(info.corpus, sizeof info.corpus, "%s", tokenizer_fingerprint(t));
    info.sources =
        "[{\"path\":\"a\\u001b.txt\",\"bytes\":1234,\"sha256\":\"00112233445566778899\"}]";
    info.has_documents = true;
    const char *path = in_dir("train-00000.h5");
    struct shard_writer *w = shard_writer_create(path, &info, &err);
    ck_assert_ptr_nonnull(w);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(i % 2 ? shard_writer_document(w, &err) : 0, 0);
        ck_assert_int_eq(shard_writer_append(w, ids + i, 1, &err), 0);
    }
    if (shard_writer_finish(w, 5, &err))
        ck_abort_msg("%s", err.text);
    ck_assert_int_eq(inspect(path, "--verify"), 0);
    ck_says(said, "train-00000.h5  shard 1 of 1 of the train split, ");
    ck_says(said, "tokens      5, from 5 bytes of text");
    ck_says(said, "documents   2 begin in it");
    ck_says(said, ".txt, 1,234 bytes, 001122334455…");
    ck_assert_ptr_null(strchr(said, 27));
    ck_says(said, "verified");
    ck_assert_int_eq(inspect(path, "--json"), 0);
    cJSON *o = cJSON_Parse(said);
    ck_assert_double_eq(cJSON_GetObjectItem(o, "tokens")->valuedouble, 5);
    ck_assert_double_eq(cJSON_GetObjectItem(o, "documents")->valuedouble, 2);
    cJSON_Delete(o);
    tokenizer_destroy(t);
    leave_dir((const char *const[]){"train-00000.h5", NULL});
}
END_TEST

START_TEST(misuse_and_other_files)
{
    enter_dir();
    const char *path = in_dir("x.h5");
    ck_assert_int_eq(inspect(path, NULL), 1);
    ck_says(complained, "x.h5: No such file or directory\n");
    FILE *f = fopen(path, "w");
    fputs("hello\n", f);
    fclose(f);
    ck_assert_int_eq(inspect(path, "--json"), 1);
    ck_says(complained, "x.h5: not an HDF5 file");
    ck_assert_int_eq(inspect(dir, NULL), 1);
    ck_assert_int_eq(inspect(NULL, NULL), 2);
    ck_assert_int_eq(inspect(path, path), 2);
    ck_assert_int_eq(inspect(path, "--nonsense"), 2);
    ck_assert_int_eq(inspect("--help", NULL), 0);
    leave_dir((const char *const[]){"x.h5", NULL});
}
END_TEST

SUITE("train/inspect", checkpoint_in_words, checkpoint_as_json, verify_names_what_is_wrong,
      tokenizers, shards, misuse_and_other_files)
