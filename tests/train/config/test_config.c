/* test_config.c: reading, writing and comparing configurations, and every kind of invalid one. */
#include "tests/test.h"
#include "train/config/config.h"
#include "train/config/config_keys.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct config config;
static struct error err;

static void ck_parses(const char *text)
{
    if (config_parse(&config, text, "a.ini", &err))
        ck_abort_msg("%s", err.text);
}

static void ck_fails(const char *text, const char *line)
{
    ck_assert_int_eq(config_parse(&config, text, "a.ini", &err), -1);
    ck_assert_str_eq(err.text, line);
}

static void ck_set_fails(const char *assignment, const char *line)
{
    const struct config before = config;
    ck_assert_int_eq(config_set(&config, assignment, &err), -1);
    ck_assert_str_eq(err.text, line);
    ck_assert_uint_eq(config_diff(&before, &config, NULL, 0), 0);
}

static void ck_set(const char *assignment)
{
    if (config_set(&config, assignment, &err))
        ck_abort_msg("%s", err.text);
}

START_TEST(defaults_are_valid)
{
    config_defaults(&config);
    ck_assert_uint_eq(config.model.n_layer, 4);
    ck_assert_double_eq(config.optim.lr, 1e-3);
    ck_assert_int_eq(config.optim.schedule, SCHEDULE_COSINE);
    ck_assert_int_eq(config.data.order, ORDER_SHUFFLED);
    ck_assert_str_eq(config.data.dir, "");
    ck_assert_int_eq(config_check(&config, "defaults", &err), 0);
    for (size_t i = 0; i < config_key_count; i++) {
        char text[KEY_TEXT_MAX];
        ck_assert_str_eq(config_key_get(&config_keys[i], &config, text), config_keys[i].initial);
    }
}
END_TEST

START_TEST(values_of_every_type)
{
    ck_parses("\xEF\xBB\xBF# a comment\n[model]\r\nn_layer = 12\r\n  n_head: 3 ; "
              "inline\n\tgelu=erf\nbias = on\ndropout = .25\n\n"
              "  [data] ; section\ndir = a b/c#d;e\norder = sequential\n[optim]\nschedule = "
              "wsd\nlr = 3E-4\n"
              "[train]\nseed = 18446744073709551615");
    ck_assert_uint_eq(config.model.n_layer, 12);
    ck_assert_uint_eq(config.model.n_head, 3);
    ck_assert_int_eq(config.model.gelu, GELU_ERF);
    ck_assert(config.model.bias);
    ck_assert_double_eq(config.model.dropout, 0.25);
    ck_assert_str_eq(config.data.dir, "a b/c#d;e");
    ck_assert_int_eq(config.data.order, ORDER_SEQUENTIAL);
    ck_assert_int_eq(config.optim.schedule, SCHEDULE_WSD);
    ck_assert_double_eq(config.optim.lr, 3e-4);
    ck_assert_uint_eq(config.train.seed, UINT64_MAX);
    ck_assert_uint_eq(config.train.batch_size, 16);
    ck_parses("");
}
END_TEST

START_TEST(text_reads_back_bit_for_bit)
{
    static const char *const numbers[] = {"0.1",
                                          "6e-05",
                                          "0.30000000000000004",
                                          "1e-3",
                                          "2.2250738585072014e-308",
                                          "5e-324",
                                          "123456.78901234567",
                                          "0",
                                          "-0"};
    config_defaults(&config);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char assignment[64];
        snprintf(assignment, sizeof assignment, "optim.lr=%s", numbers[i]);
        ck_set(assignment);
        ck_set("train.seed=9007199254740993");
        ck_set("model.bias=yes");
        memset(config.data.dir, 'd',
               CONFIG_PATH_MAX - 1); /* the longest path; no line may be cut off */
        const struct config before = config;
        char *text = config_text(&config);
        ck_parses(text);
        ck_assert_mem_eq(&config.optim, &before.optim, sizeof config.optim);
        ck_assert_mem_eq(&config.train, &before.train, sizeof config.train);
        ck_assert_str_eq(config.data.dir, before.data.dir);
        ck_assert_uint_eq(config_diff(&config, &before, NULL, 0), 0);
        char *again = config_text(&config);
        ck_assert_str_eq(text, again);
        free(text);
        free(again);
    }
}
END_TEST

START_TEST(unknown_keys_get_a_suggestion)
{
    ck_fails("[model]\nn_layers = 3",
             "a.ini:2: unknown key model.n_layers; did you mean model.n_layer?");
    ck_fails("[model]\nnlayer = 3",
             "a.ini:2: unknown key model.nlayer; did you mean model.n_layer?");
    ck_fails("\n\n[model]\n# c\nbatch_size = 3",
             "a.ini:5: unknown key model.batch_size; did you mean train.batch_size?");
    ck_fails("[optim]\nlearning_rate = 3",
             "a.ini:2: unknown key optim.learning_rate; did you mean optim.lr?");
    ck_fails("[train]\nmax_iters = 3",
             "a.ini:2: unknown key train.max_iters; did you mean train.steps?");
    ck_fails("[train]\nbathc_size = 3",
             "a.ini:2: unknown key train.bathc_size; did you mean train.batch_size?");
    ck_fails("[train]\nphase_of_the_moon = 3",
             "a.ini:2: unknown key train.phase_of_the_moon; train --keys lists them");
    ck_fails("[train]\nq = 3", "a.ini:2: unknown key train.q; train --keys lists them");
    ck_fails("[modle]\n", "a.ini:1: unknown section [modle]; did you mean [model]?");
    ck_fails("[network]\nx = 1",
             "a.ini:1: unknown section [network]; there are [model], [data], [optim] and [train]");
    config_defaults(&config);
    ck_set_fails("optim.lrr=1", "--set: unknown key optim.lrr; did you mean optim.lr?");
    ck_set_fails("modl.n_head=1", "--set: unknown key modl.n_head; did you mean model.n_head?");
}
END_TEST

START_TEST(values_are_strict)
{
    static const struct {
        const char *assignment, *expected;
    } bad[] = {
        {"model.n_layer=", "a whole number from 1 to 1024"},
        {"model.n_layer=0", "a whole number from 1 to 1024"},
        {"model.n_layer=-1", "a whole number from 1 to 1024"},
        {"model.n_layer=+1", "a whole number from 1 to 1024"},
        {"model.n_layer=4.0", "a whole number from 1 to 1024"},
        {"model.n_layer=4x", "a whole number from 1 to 1024"},
        {"model.n_layer=1025", "a whole number from 1 to 1024"},
        {"model.n_layer=18446744073709551617", "a whole number from 1 to 1024"},
        {"train.seed=18446744073709551616", "a whole number below 2^64"},
        {"train.steps=1e6", "a whole number from 0 to 1e+15"},
        {"optim.lr=", "a number from 0 to 1000000"},
        {"optim.lr=nan", "a number from 0 to 1000000"},
        {"optim.lr=inf", "a number from 0 to 1000000"},
        {"optim.lr=0x1p-3", "a number from 0 to 1000000"},
        {"optim.lr=1e999", "a number from 0 to 1000000"},
        {"optim.lr=-1e-3", "a number from 0 to 1000000"},
        {"optim.lr=1e-3 2", "a number from 0 to 1000000"},
        {"optim.lr=0,001", "a number from 0 to 1000000"},
        {"optim.beta1=1", "a number from 0 to below 1"},
        {"model.dropout=1", "a number from 0 to below 1"},
        {"optim.eps=0", "a number from 1e-30 to 1"},
        {"model.bias=maybe", "yes or no"},
        {"model.bias=Yes", "yes or no"},
        {"model.gelu=relu", "tanh or erf"},
        {"optim.schedule=Cosine", "constant, linear, cosine or wsd"},
        {"train.precision=fp16", "f32 or bf16"},
        {"train.recompute=all", "none, gelu or block"},
        {"data.dir=a ;b", "a path of fewer than 1024 bytes that a line of an INI file can hold"},
        {"data.dir=;b", "a path of fewer than 1024 bytes that a line of an INI file can hold"},
        {"data.dir=b ", "a path of fewer than 1024 bytes that a line of an INI file can hold"},
    };
    config_defaults(&config);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *equals = strchr(bad[i].assignment, '=');
        char line[512];
        snprintf(line, sizeof line, "--set: %.*s: expected %s, got \"%s\"",
                 (int)(equals - bad[i].assignment), bad[i].assignment, bad[i].expected, equals + 1);
        ck_set_fails(bad[i].assignment, line);
    }
    ck_set_fails("lr=3", "--set lr=3: expected section.key=value, such as optim.lr=0.001");
    ck_set_fails("xyzzy=3", "--set xyzzy=3: expected section.key=value");
    ck_set_fails("optim.lr", "--set optim.lr: expected section.key=value");
    ck_set_fails("", "--set : expected section.key=value");
    ck_set("optim.lr = 3");
    ck_assert_double_eq(config.optim.lr, 3);
}
END_TEST

START_TEST(lines_are_strict)
{
    ck_fails("[model]\nn_layer = 0\n",
             "a.ini:2: model.n_layer: expected a whole number from 1 to 1024, got \"0\"");
    ck_fails("[model]\nn_layer\nn_head = 2", "a.ini:2: expected \"key = value\" or \"[section]\"");
    ck_fails("[model\nn_layer = 1", "a.ini:1: expected \"]\" after the section's name");
    ck_fails("[model] n_layer = 1", "a.ini:1: expected the end of the line after \"]\"");
    ck_fails("n_layer = 1", "a.ini:1: n_layer precedes the first [section]");
    ck_fails("[model]\nn_layer = 1\n\n[model]\nn_layer = 1\n",
             "a.ini:5: model.n_layer is already set in line 2");
    ck_fails("[model]\nn_layer = 1\n  n_layer = 2\n",
             "a.ini:3: model.n_layer is already set in line 2");
    ck_fails("[model]\nn_layer = \x01", "a.ini:2: not a text file (a byte 0x01)");
    char text[4096] = "[data]\ndir = ";
    memset(text + strlen(text), 'x', 2000);
    ck_fails(text, "a.ini:2: expected a line of at most 1534 bytes, got 2006");
    /* Up to the maximum length of a line, the error is that the value is too long. */
    for (size_t n = CONFIG_PATH_MAX - 2; n < 1534 - 6; n++) {
        snprintf(text, sizeof text, "[data]\ndir = ");
        memset(text + 13, 'x', n);
        text[13 + n] = 0;
        ck_assert_int_eq(config_parse(&config, text, "a.ini", &err), n < CONFIG_PATH_MAX ? 0 : -1);
        ck_assert(n < CONFIG_PATH_MAX || strstr(err.text, "a.ini:2: data.dir: expected a path"));
    }
}
END_TEST

START_TEST(keys_must_be_consistent)
{
    static const struct {
        const char *text, *line;
    } bad[] = {
        {"[model]\nn_embd = 130", "a.ini: model.n_embd: 130 is not divisible by model.n_head 4"},
        {"[optim]\nmin_lr = 0.01",
         "a.ini: optim.min_lr: expected at most optim.lr 0.001, got 0.01"},
        {"[optim]\ndecay_steps = 99",
         "a.ini: optim.decay_steps: expected at least optim.warmup 100, got 99"},
        {"[train]\nsteps = 1000000000000000\nbatch_size = 100000",
         "a.ini: train.steps: 1000000000000000 steps read more than 2^63 tokens"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_parses(bad[i].text);
        ck_assert_int_eq(config_check(&config, "a.ini", &err), -1);
        ck_assert_str_eq(err.text, bad[i].line);
    }
    /* ends within the warm-up */
    ck_parses("[train]\nsteps = 50\n[optim]\nschedule = wsd\ndecay_steps = 100");
    ck_assert_int_eq(config_check(&config, "a.ini", &err), 0);
    ck_parses("[optim]\nmin_lr = 0.01\nschedule = constant\ndecay_steps = 3");
    ck_assert_int_eq(config_check(&config, "a.ini", &err), 0);
}
END_TEST

START_TEST(diff_names_both_values)
{
    struct config other;
    char text[256];
    config_defaults(&config);
    config_defaults(&other);
    ck_assert_uint_eq(config_diff(&config, &other, text, sizeof text), 0);
    ck_assert_str_eq(text, "");
    other.optim.lr = 3e-4;
    other.model.bias = true;
    ck_assert_uint_eq(config_diff(&config, &other, text, sizeof text), 2);
    ck_assert_str_eq(text, "model.bias no != yes, optim.lr 0.001 != 0.0003");
    ck_assert_uint_eq(config_diff(&config, &other, text, 10), 2);
    ck_assert_str_eq(text, "model.bia");
    strcpy(other.data.dir, "a longer name");
    ck_assert_uint_eq(config_diff(&config, &other, text, 25), 3);
}
END_TEST

START_TEST(model_sizes_follow_the_tokenizer)
{
    struct model_config model;
    ck_parses("[model]\nvocab_size = 128");
    ck_assert_int_eq(config_model(&config, 65, &model, "a.ini", &err), 0);
    ck_assert_uint_eq(model.vocab_size, 65);
    ck_assert_uint_eq(model.padded_vocab_size, 128);
    ck_assert_int_eq(config_model(&config, 0, &model, "a.ini", &err), 0);
    ck_assert_uint_eq(model.vocab_size, 128);
    ck_assert_int_eq(config_model(&config, 256, &model, "a.ini", &err), -1);
    ck_assert_str_eq(
        err.text, "a.ini: model.vocab_size: expected 0 or at least the tokenizer's 256, got 128");
    ck_parses("");
    ck_assert_int_eq(config_model(&config, 0, &model, "a.ini", &err), -1);
    ck_assert_int_eq(config_model(&config, 65, &model, "a.ini", &err), 0);
    ck_assert_uint_eq(model.padded_vocab_size, 65);
}
END_TEST

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

START_TEST(invalid_files)
{
    char dir[] = "/tmp/handgrad-config-XXXXXX", path[64], line[128];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    ck_assert_int_eq(config_load(&config, dir, &err), -1);
    snprintf(line, sizeof line, "%s: a directory, not a regular file", dir);
    ck_assert_str_eq(err.text, line);

    snprintf(path, sizeof path, "%s/a.ini", dir);
    ck_assert_int_eq(config_load(&config, path, &err), -1);
    snprintf(line, sizeof line, "%s: No such file or directory", path);
    ck_assert_str_eq(err.text, line);

    write_file(path, "[model]\n\0\n", 10);
    ck_assert_int_eq(config_load(&config, path, &err), -1);
    snprintf(line, sizeof line, "%s: not a text file (a byte 0x00)", path);
    ck_assert_str_eq(err.text, line);

    char *large = malloc((1 << 20) + 1);
    memset(large, '\n', (1 << 20) + 1);
    write_file(path, large, (1 << 20) + 1);
    free(large);
    ck_assert_int_eq(config_load(&config, path, &err), -1);
    snprintf(line, sizeof line, "%s: expected a text of at most 1048576 bytes, got 1048577", path);
    ck_assert_str_eq(err.text, line);

    write_file(path, "[train]\nsteps = 7\n", 18);
    ck_assert_int_eq(config_load(&config, path, &err), 0);
    ck_assert_uint_eq(config.train.steps, 7);
    unlink(path);
    rmdir(dir);
}
END_TEST

START_TEST(garbage_never_crashes)
{
    uint64_t x = 88172645463325252u;
    for (int round = 0; round < 20000; round++) {
        static const char alphabet[] =
            "[]=;#: \t\n\r.model data optim train n_layer lr 0123456789e-+\x7f\x80\xff\"'\\";
        char text[64];
        for (size_t i = 0; i + 1 < sizeof text; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            text[i] = alphabet[x % (sizeof alphabet - 1)];
        }
        text[sizeof text - 1] = 0;
        memcpy(text, "[optim]\n", round % 2 ? 8 : 0);
        if (config_parse(&config, text, "a.ini", &err))
            ck_assert_uint_gt(strlen(err.text), 7);
        config_set(&config, text, &err);
    }
}
END_TEST

START_TEST(published_files_are_valid)
{
    static const char *const files[] = {"demo", "tiny", "shakespeare-char-cpu", "shakespeare-char",
                                        "gpt2-124m"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[64];
        snprintf(path, sizeof path, "configs/%s.ini", files[i]);
        if (config_load(&config, path, &err) || config_check(&config, path, &err))
            ck_abort_msg("%s", err.text);
    }
    struct model_config model;
    ck_assert_int_eq(config_model(&config, 0, &model, "gpt2-124m.ini", &err), 0);
    struct tensors *t = tensors_create(&model);
    ck_assert_uint_eq(t->n_parameters, 124439808);
    ck_assert_uint_eq(config.train.batch_size * config.train.accumulate * config.model.block_size,
                      491520);
    tensors_destroy(t);
}
END_TEST

/* docs/configs.md has one row per key, with the default from the table. */
START_TEST(docs_list_every_key)
{
    FILE *f = fopen("docs/configs.md", "r");
    ck_assert_ptr_nonnull(f);
    static char text[1 << 16];
    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, f), 0);
    fclose(f);
    size_t rows = 0;
    for (const char *row = text; (row = strstr(row, "\n| `")); row++)
        rows += strchr(row + 4, '.') < strchr(row + 4, '`') &&
                !strstr(strndupa(row, strcspn(row + 1, "\n")), ".ini`");
    ck_assert_uint_eq(rows, config_key_count);
    for (size_t i = 0; i < config_key_count; i++) {
        char head[64], initial[64];
        snprintf(head, sizeof head, "\n| `%s.%s` | ", config_keys[i].section, config_keys[i].name);
        snprintf(initial, sizeof initial, "| `%s` |", config_keys[i].initial);
        const char *row = strstr(text, head), *found = row ? strstr(row, initial) : NULL;
        if (!row || strstr(row + 1, head))
            ck_abort_msg("docs/configs.md: %s: %s", head + 1, row ? "listed twice" : "missing");
        if (!found || found > strchr(row + 1, '\n'))
            ck_abort_msg("docs/configs.md: %s: expected the default %s", head + 1, initial);
    }
}
END_TEST

SUITE("train/config", defaults_are_valid, values_of_every_type, text_reads_back_bit_for_bit,
      unknown_keys_get_a_suggestion, values_are_strict, lines_are_strict, keys_must_be_consistent,
      diff_names_both_values, model_sizes_follow_the_tokenizer, invalid_files,
      garbage_never_crashes, published_files_are_valid, docs_list_every_key)
