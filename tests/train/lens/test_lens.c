/* test_lens.c: what `handgrad lens` shows is what the model computes: its numbers are those of `handgrad grad`, and its
 * pictures show its numbers. */
#include "base/printable.h"
#include "model/lens.h"
#include "tests/batch.h"
#include "tests/data_fixture.h"
#include "train/cli/command.h"
#include "train/gradient_file.h"
#include "train/lens/inspection.h"
#include "train/lens/lens_draw.h"
#include "train/lens/lens_print.h"
#include "train/report/heatmap.h"

#include <cjson/cJSON.h>
#include <locale.h>
#include <math.h>
#include <omp.h>
#include <png.h>
#include <sys/wait.h>

enum { BLOCK = 24, WIDTH = 12, SYMBOLS = 8 };
static const uint32_t alphabet[SYMBOLS] = {'\n', ' ', 'a', 'b', 'c', 'd', 0xE9, 0x4E16};
static const char text[] = "abc d\ncab é世 bad";
enum { TOKENS = 16 };

/* A model whose weights are those of a trained one in size. */
static void write_model(const char *path)
{
    struct checkpoint c = {.state = {.step = 7}};
    struct model_config model;
    config_defaults(&c.config);
    OK(config_set(&c.config, "model.n_layer=2", &err));
    OK(config_set(&c.config, "model.n_head=3", &err));
    OK(config_set(&c.config, "model.n_embd=12", &err));
    OK(config_set(&c.config, "model.block_size=24", &err));
    c.tokenizer = tokenizer_create_char(alphabet, SYMBOLS, &err);
    OK(config_model(&c.config, SYMBOLS, &model, "test", &err));
    struct gpt_f32 g;
    ck_assert_int_eq(gpt_create(&g, tensors_create(&model), 1, GPT_INFER), 0);
    gpt_init(&g, 4);
    for (size_t i = 0; i < g.tensors->total; i++)
        g.params[i] *= 6;
    c.tensors = g.tensors;
    c.params = g.params;
    OK(checkpoint_write(&c, path, &err));
    tokenizer_destroy(c.tokenizer);
    gpt_destroy(&g);
}

static char dir[] = "/tmp/handgrad-lens-XXXXXX", model_path[64], out_path[64];

static void enter(void)
{
    omp_set_num_threads(1); /* a process that forks may have no other threads */
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(model_path, sizeof model_path, "%s/model.h5", dir);
    snprintf(out_path, sizeof out_path, "%s/out", dir);
    write_model(model_path);
    setlocale(LC_CTYPE, "C.UTF-8");
}

static void leave(void)
{
    unlink(model_path);
    unlink(out_path);
    ck_assert_int_eq(rmdir(dir), 0);
}

static void read_array(const char *name, double *x)
{
    const hid_t file = H5Fopen(out_path, H5F_ACC_RDONLY, H5P_DEFAULT),
                set = H5Dopen2(file, name, H5P_DEFAULT);
    ck_assert_int_ge(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x), 0);
    H5Dclose(set);
    H5Fclose(file);
}

START_TEST(numbers_are_those_of_grad)
{
    enter();
    struct inspection r;
    OK(inspection_open(&r, model_path, &err));
    OK(inspection_take(&r, text, strlen(text), &err));
    ck_assert_uint_eq(r.T, TOKENS);
    enum { T = TOKENS - 1 }; /* grad's batch needs a target for each */
    double loss, logits[T * SYMBOLS], dwpe[BLOCK * WIDTH], sum[T * WIDTH] = {0}, mean = 0;
    OK(gradient_file_write(out_path, model_path, GRADIENT_F64, BATCH(r.ids, r.ids + 1, 1, T, 1),
                           &loss, &err));
    read_array("logits", logits);
    read_array("grads/wpe.weight", dwpe);
    struct guess top[TOKENS * SYMBOLS];
    float losses[TOKENS];
    inspection_guesses(top, losses, &r, 2, SYMBOLS);
    for (size_t t = 0; t < T; t++) {
        double total = 0, all = 0;
        for (size_t v = 0; v < SYMBOLS; v++)
            total += exp(logits[t * SYMBOLS + v]);
        for (size_t i = 0; i < SYMBOLS; i++) {
            const struct guess g = top[t * SYMBOLS + i];
            EXPECT(fabs(g.p - exp(logits[t * SYMBOLS + g.id]) / total) < 1e-5);
            EXPECT(i == 0 || g.p <= top[t * SYMBOLS + i - 1].p);
            all += g.p;
            if (g.id == r.ids[t + 1])
                EXPECT(fabs(losses[t] + log(g.p)) < 1e-4);
        }
        EXPECT(fabs(all - 1) < 1e-5);
        mean += losses[t] / T;
        inspection_gradient(&r, t);
        for (size_t i = 0; i < T * WIDTH; i++)
            sum[i] += r.gradient[i] / T;
    }
    EXPECT(isnan(losses[T]));
    EXPECT_MSG(fabs(mean - loss) < 1e-5, "mean loss %g, grad's %g", mean, loss);
    double difference = 0, size = 0;
    for (size_t i = 0; i < T * WIDTH; i++) {
        difference += (sum[i] - dwpe[i]) * (sum[i] - dwpe[i]);
        size += dwpe[i] * dwpe[i];
    }
    EXPECT_MSG(difference <= 1e-8 * size, "gradients differ by %g of %g", sqrt(difference),
               sqrt(size));
    inspection_close(&r);
    leave();
}
END_TEST

START_TEST(texts_that_it_cannot_read)
{
    enter();
    struct inspection r;
    OK(inspection_open(&r, model_path, &err));
    FAILS(inspection_take(&r, "", 0, &err), "empty");
    FAILS(inspection_take(&r, "abx", 3, &err), "U+0078");
    FAILS(inspection_take(&r, "ab\xC3", 3, &err), "byte 2");
    FAILS(inspection_take(&r, "aaaaaaaaaaaaaaaaaaaaaaaaa", 25, &err),
          "25 tokens, but the model's block_size is 24");
    ck_assert_uint_eq(r.T, 0);
    OK(inspection_take(&r, "aaaaaaaaaaaaaaaaaaaaaaaa", 24, &err));
    OK(inspection_take(&r, "a", 1, &err));
    inspection_close(&r);
    FAILS(inspection_open(&r, "/nonexistent.h5", &err), "/nonexistent.h5");
    leave();
}
END_TEST

/* Runs the command in a process of its own; stdout goes to out_path. */
static int lens(const char *a, const char *b, const char *c, const char *d, const char *e,
                const char *f)
{
    char *argv[] = {"handgrad lens", model_path, "--text",  (char *)text, (char *)a, (char *)b,
                    (char *)c,       (char *)d,  (char *)e, (char *)f,    NULL};
    int argc = 4, status;
    while (argv[argc])
        argc++;
    fflush(NULL);
    const pid_t child = fork();
    if (!child) {
        if (!freopen(out_path, "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(99);
        const int code = command_lens(argc, argv);
        fflush(NULL);
        _exit(code);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static char *slurp(const char *path)
{
    static char bytes[1 << 20];
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    bytes[fread(bytes, 1, sizeof bytes - 1, f)] = 0;
    fclose(f);
    return bytes;
}

static size_t occurrences(const char *haystack, const char *needle)
{
    size_t n = 0;
    for (; (haystack = strstr(haystack, needle)); haystack++)
        n++;
    return n;
}

static double number(const cJSON *array, int i)
{
    return cJSON_GetArrayItem(array, i)->valuedouble;
}

START_TEST(json_holds_it_all)
{
    enter();
    ck_assert_int_eq(lens("--layer", "1", "--gradient", "6", "--top", "3"), 0);
    ck_assert_int_eq(lens("--layer", "1", "--gradient", "6", "--json", NULL), 0);
    cJSON *json = cJSON_Parse(slurp(out_path));
    ck_assert_ptr_nonnull(json);
    struct inspection r;
    OK(inspection_open(&r, model_path, &err));
    OK(inspection_take(&r, text, strlen(text), &err));
    const cJSON *tokens = cJSON_GetObjectItem(json, "tokens");
    ck_assert_int_eq(cJSON_GetArraySize(tokens), TOKENS);
    ck_assert_str_eq(cJSON_GetObjectItem(cJSON_GetArrayItem(tokens, 5), "text")->valuestring, "\n");
    ck_assert_str_eq(cJSON_GetObjectItem(cJSON_GetArrayItem(tokens, 5), "shown")->valuestring, "↵");
    ck_assert_str_eq(cJSON_GetObjectItem(cJSON_GetArrayItem(tokens, 11), "text")->valuestring,
                     "世");
    const cJSON *depths = cJSON_GetObjectItem(json, "depths");
    ck_assert_int_eq(cJSON_GetArraySize(depths), 3);
    const cJSON *positions = cJSON_GetObjectItem(cJSON_GetArrayItem(depths, 2), "positions");
    for (int t = 0; t < TOKENS - 1; t++)
        EXPECT((float)cJSON_GetObjectItem(cJSON_GetArrayItem(positions, t), "loss")->valuedouble ==
               r.losses[t]);
    EXPECT(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetArrayItem(positions, TOKENS - 1), "loss")));
    const cJSON *attention = cJSON_GetObjectItem(json, "attention");
    ck_assert_int_eq(cJSON_GetArraySize(attention), 3);
    inspection_attention(&r, 1);
    for (int h = 0; h < 3; h++)
        for (int q = 0; q < TOKENS; q++)
            for (int k = 0; k < TOKENS; k++) {
                const cJSON *weights =
                    cJSON_GetObjectItem(cJSON_GetArrayItem(attention, h), "weights");
                EXPECT((float)number(cJSON_GetArrayItem(weights, q), k) ==
                       r.weights[(h * TOKENS + q) * TOKENS + k]);
            }
    inspection_gradient(&r, 6);
    const cJSON *gradient = cJSON_GetObjectItem(json, "gradient"),
                *vectors = cJSON_GetObjectItem(gradient, "vectors");
    for (int t = 0; t < TOKENS; t++) {
        EXPECT_MSG((number(cJSON_GetObjectItem(gradient, "norms"), t) == 0) == (t > 6),
                   "norm at %d: %g", t, number(cJSON_GetObjectItem(gradient, "norms"), t));
        for (int i = 0; i < WIDTH; i++)
            EXPECT((float)number(cJSON_GetArrayItem(vectors, t), i) == r.gradient[t * WIDTH + i]);
    }
    inspection_close(&r);
    cJSON_Delete(json);
    leave();
}
END_TEST

/* A model without any gradient has bars of no length, one whose gradients overflow full ones, and neither is out of bounds. */
START_TEST(bars_of_zero_and_infinity)
{
    static const struct {
        float element;
        size_t bars;
    } cases[] = {{0, 0}, {1, 1}, {INFINITY, 1}, {(float)NAN, 0}};
    const struct terminal plain = {TERMINAL_PLAIN, 80};
    enter();
    struct inspection r;
    OK(inspection_open(&r, model_path, &err));
    OK(inspection_take(&r, text, strlen(text), &err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static char printed
            [1 << 16]; /* a bar without end does not fit, and then the test's time runs out */
        memset(r.gradient, 0, r.T * WIDTH * sizeof *r.gradient);
        r.gradient[2 * WIDTH] = cases[i].element;
        FILE *f = fmemopen(printed, sizeof printed, "w");
        lens_print_gradient(f, &plain, &r, 6);
        ck_assert(!fclose(f));
        ck_assert_uint_eq(occurrences(printed, " #"), cases[i].bars);
        size_t n;
        char *svg = NULL;
        f = open_memstream(&svg, &n);
        OK(canvas_write(lens_draw_gradient(&r, 6, canvas_svg), f, &err));
        fclose(f);
        ck_assert_uint_eq(occurrences(svg, "nan"), isnan(cases[i].element)); /* the norm itself */
        free(svg);
    }
    inspection_close(&r);
    leave();
}
END_TEST

START_TEST(misuse_and_errors)
{
    enter();
    ck_assert_int_eq(lens("--layer", "2", NULL, NULL, NULL, NULL), 1);
    ck_assert_int_eq(lens("--head", "3", NULL, NULL, NULL, NULL), 1);
    ck_assert_int_eq(lens("--gradient", "15", NULL, NULL, NULL, NULL), 1);
    ck_assert_int_eq(lens("--gradient", "14", NULL, NULL, NULL, NULL), 0);
    ck_assert_int_eq(lens("--gradient", "-1", NULL, NULL, NULL, NULL), 2);
    ck_assert_int_eq(lens("-o", "map.gif", NULL, NULL, NULL, NULL), 2);
    ck_assert_int_eq(lens("-o", "/nonexistent/map.svg", NULL, NULL, NULL, NULL), 1);
    ck_assert_int_eq(lens("--top", "0", NULL, NULL, NULL, NULL), 2);
    ck_assert_int_eq(lens("--top", "1000", NULL, NULL, NULL, NULL), 0);
    leave();
}
END_TEST

static const float weights[9] = {1, 0, 0, 0.25f, 0.75f, 0, 0.04f, 0.36f, 0.6f};
static const char *const labels[3] = {"a", "b&", "世"};
static const struct heatmap map = {"h.0 head 0", 3, weights, labels};

static char *drawn(struct canvas *(*create)(double, double), size_t *n)
{
    char *bytes = NULL;
    FILE *f = open_memstream(&bytes, n);
    const struct heatmaps maps = {"a < b", 1, 1, &map};
    OK(canvas_write(heatmap_draw(&maps, create), f, &err));
    fclose(f);
    return bytes;
}

START_TEST(svg_shows_the_weights)
{
    size_t n;
    char *svg = drawn(canvas_svg, &n);
    /* Cells are the squares of 20; each of the six weights that are not zero is one. */
    ck_assert_uint_eq(occurrences(svg, "h20v20h-20z"), 6);
    ck_assert_uint_eq(occurrences(svg, ">a &lt; b<"), 1);
    ck_assert_uint_eq(occurrences(svg, ">b&amp;<"), 2);
    ck_assert_ptr_nonnull(strstr(svg, "fill='#fde725'"));
    ck_assert_str_eq(svg + n - 7, "</svg>\n");
    free(svg);
}
END_TEST

START_TEST(png_shows_the_weights)
{
    size_t n;
    char *bytes = drawn(canvas_png, &n);
    png_image image = {.version = PNG_IMAGE_VERSION};
    ck_assert(png_image_begin_read_from_memory(&image, bytes, n));
    image.format = PNG_FORMAT_RGB;
    unsigned char *pixels = malloc(PNG_IMAGE_SIZE(image));
    ck_assert(png_image_finish_read(&image, NULL, pixels, 0, NULL));
    /* The first cell is found by its colour; the others lie 40 pixels apart. */
    const struct rgb one = heatmap_colour(1);
    size_t first = 0;
    while (memcmp(pixels + 3 * first, &one, 3) != 0)
        EXPECT(++first < image.width * image.height);
    for (size_t q = 0; q < 3; q++)
        for (size_t k = 0; k < 3; k++) {
            const unsigned char *p =
                pixels + 3 * (first + (20 + 40 * q) * image.width + 20 + 40 * k);
            const struct rgb c = heatmap_colour(weights[q * 3 + k]);
            if (k > q)
                EXPECT(p[0] == 255 && p[1] == 255 && p[2] == 255);
            else /* 64 colours */
                EXPECT(abs(p[0] - c.r) + abs(p[1] - c.g) + abs(p[2] - c.b) < 12);
        }
    free(pixels);
    free(bytes);
}
END_TEST

START_TEST(characters_show_the_weights)
{
    const struct terminal plain = {TERMINAL_PLAIN, 80}, colours = {TERMINAL_24_BIT, 80},
                          cube = {TERMINAL_256, 80};
    const struct heatmaps maps = {"title", 1, 1, &map};
    char *bytes = NULL;
    size_t n;
    setlocale(LC_CTYPE, "C.UTF-8");
    FILE *f = open_memstream(&bytes, &n);
    heatmap_terminal(&maps, &plain, f);
    fflush(f);
    ck_assert_ptr_nonnull(strstr(bytes, "\n a @@    \nb& ++%%  \n世 ::**##\n"));
    ck_assert_ptr_null(strchr(bytes, '\033'));
    rewind(f);
    heatmap_terminal(&maps, &colours, f);
    fflush(f);
    ck_assert_ptr_nonnull(strstr(bytes, "\033[48;2;253;231;37m  \033[0m    \n"));
    rewind(f);
    heatmap_terminal(&maps, &cube, f);
    fclose(f);
    ck_assert_ptr_nonnull(strstr(bytes, "\033[48;5;220m  \033[0m    \n"));
    free(bytes);
}
END_TEST

START_TEST(every_token_is_visible)
{
    static const struct {
        const char *bytes, *shown;
        size_t columns, wide;
    } cases[] = {
        {"a", "a", 9, 1},
        {" the", "␣the", 9, 4},
        {"\n\t\033", "↵␉␛", 9, 3},
        {"\177", "␡", 9, 1},
        {"é世", "é世", 9, 3},
        {"\xE2\x80", "<E2><80>", 9, 8},
        {"\u202Ex", "<U+202E>x", 9, 9},
        {"\u0301", "<U+0301>", 9, 8},
        {"e\u0301", "e\u0301", 9, 1},
        {"abcdef", "abc…", 4, 4},
        {"世世世", "世…", 4, 3},
        {"\xC2\x85", "<U+0085>", 9, 8},
    };
    setlocale(LC_CTYPE, "C.UTF-8");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[PRINTABLE_MAX];
        const size_t wide =
            printable(out, cases[i].bytes, strlen(cases[i].bytes), cases[i].columns);
        ck_assert_str_eq(out, cases[i].shown);
        ck_assert_uint_eq(wide, cases[i].wide);
    }
    char out[PRINTABLE_MAX], bytes[300];
    memset(bytes, 0xFF, sizeof bytes);
    for (size_t columns = 1; columns < 100; columns++) {
        ck_assert_uint_le(printable(out, bytes, sizeof bytes, columns), columns);
        ck_assert_uint_lt(strlen(out), PRINTABLE_MAX);
    }
}
END_TEST

SUITE("train/lens", numbers_are_those_of_grad, texts_that_it_cannot_read, json_holds_it_all,
      bars_of_zero_and_infinity, misuse_and_errors, svg_shows_the_weights, png_shows_the_weights,
      characters_show_the_weights, every_token_is_visible)
