/* test_lens.c: `handgrad lens`: its numbers equal those of `handgrad grad`, and its pictures show
 * these numbers. */
#include "base/printable.h"
#include "model/lens.h"
#include "tests/batch.h"
#include "tests/data_fixture.h"
#include "train/cli/command.h"
#include "train/gradient_file.h"
#include "train/lens/inspection.h"
#include "train/lens/lens_views.h"
#include "train/report/heatmap.h"

#include <cairo.h>
#include <cjson/cJSON.h>
#include <locale.h>
#include <math.h>
#include <nettle/base64.h>
#include <omp.h>
#include <sys/wait.h>

enum { BLOCK = 24, WIDTH = 12, SYMBOLS = 8 };
static const uint32_t alphabet[SYMBOLS] = {'\n', ' ', 'a', 'b', 'c', 'd', 0xE9, 0x4E16};
static const char text[] = "abc d\ncab é世 bad";
enum { TOKENS = 16 };

/* A model whose weights are as large as those of a trained one. */
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

static char dir[] = "/tmp/handgrad-lens-XXXXXX", model_path[64], out_path[64], picture_path[64];

static void enter(void)
{
    omp_set_num_threads(1); /* forking requires a single thread */
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(model_path, sizeof model_path, "%s/model.h5", dir);
    snprintf(out_path, sizeof out_path, "%s/out", dir);
    snprintf(picture_path, sizeof picture_path, "%s/picture.svg", dir);
    write_model(model_path);
    setlocale(LC_CTYPE, "C.UTF-8");
}

static void leave(void)
{
    unlink(model_path);
    unlink(out_path);
    unlink(picture_path);
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

START_TEST(numbers_equal_those_of_grad)
{
    enter();
    struct inspection in;
    OK(inspection_open(&in, model_path, &err));
    OK(inspection_run(&in, text, strlen(text), &err));
    ck_assert_uint_eq(in.T, TOKENS);
    enum { T = TOKENS - 1 }; /* grad needs a target at each position */
    double loss, logits[T * SYMBOLS], dwpe[BLOCK * WIDTH], sum[T * WIDTH] = {0}, mean = 0;
    OK(gradient_file_write(out_path, model_path, GRADIENT_F64, BATCH(in.ids, in.ids + 1, 1, T, 1),
                           &loss, &err));
    read_array("logits", logits);
    read_array("grads/wpe.weight", dwpe);
    OK(inspection_predict(&in, 2, SYMBOLS, &err));
    for (size_t t = 0; t < T; t++) {
        double total = 0, all = 0;
        for (size_t v = 0; v < SYMBOLS; v++)
            total += exp(logits[t * SYMBOLS + v]);
        for (size_t i = 0; i < SYMBOLS; i++) {
            const struct prediction p = in.top[t * SYMBOLS + i];
            EXPECT(fabs(p.p - exp(logits[t * SYMBOLS + p.id]) / total) < 1e-5);
            EXPECT(i == 0 || p.p <= in.top[t * SYMBOLS + i - 1].p);
            all += p.p;
            if (p.id == in.ids[t + 1])
                EXPECT(fabs(in.top_losses[t] + log(p.p)) < 1e-4);
        }
        EXPECT(fabs(all - 1) < 1e-5);
        mean += in.top_losses[t] / T;
        inspection_gradient(&in, t);
        for (size_t i = 0; i < T * WIDTH; i++)
            sum[i] += in.gradient[i] / T;
    }
    EXPECT(isnan(in.top_losses[T]));
    EXPECT(fabs(mean - in.mean_loss) < 1e-6);
    EXPECT_MSG(fabs(mean - loss) < 1e-5, "mean loss %g, grad's %g", mean, loss);
    double difference = 0, size = 0;
    for (size_t i = 0; i < T * WIDTH; i++) {
        difference += (sum[i] - dwpe[i]) * (sum[i] - dwpe[i]);
        size += dwpe[i] * dwpe[i];
    }
    EXPECT_MSG(difference <= 1e-8 * size, "gradients differ by %g of %g", sqrt(difference),
               sqrt(size));
    inspection_close(&in);
    leave();
}
END_TEST

START_TEST(rejects_invalid_texts)
{
    enter();
    struct inspection in;
    OK(inspection_open(&in, model_path, &err));
    FAILS(inspection_run(&in, "", 0, &err), "empty");
    FAILS(inspection_run(&in, "abx", 3, &err), "U+0078");
    FAILS(inspection_run(&in, "ab\xC3", 3, &err), "byte 2");
    ck_assert_uint_eq(in.T, 0);
    OK(inspection_run(&in, "aaaaaaaaaaaaaaaaaaaaaaab", 24, &err));
    const float last = in.losses[22];
    OK(inspection_run(&in, "babaaaaaaaaaaaaaaaaaaaaaaab", 27, &err)); /* its end counts */
    ck_assert_uint_eq(in.T, 24);
    ck_assert_uint_eq(in.omitted, 3);
    ck_assert_float_eq(in.losses[22], last);
    OK(inspection_run(&in, "a", 1, &err));
    inspection_close(&in);
    FAILS(inspection_open(&in, "/nonexistent.h5", &err), "/nonexistent.h5");
    leave();
}
END_TEST

/* Runs the command in a child process; stdout goes to out_path. */
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
        const int code = command_run(command_lens, argc, argv);
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

START_TEST(json_holds_all_numbers)
{
    enter();
    ck_assert_int_eq(lens("--layer", "1", "--gradient", "6", "--top", "3"), 0);
    ck_assert_int_eq(lens("--layer", "1", "--gradient", "6", "--json", NULL), 0);
    cJSON *json = cJSON_Parse(slurp(out_path));
    ck_assert_ptr_nonnull(json);
    struct inspection in;
    OK(inspection_open(&in, model_path, &err));
    OK(inspection_run(&in, text, strlen(text), &err));
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
               in.losses[t]);
    EXPECT(cJSON_IsNull(cJSON_GetObjectItem(cJSON_GetArrayItem(positions, TOKENS - 1), "loss")));
    const cJSON *attention = cJSON_GetObjectItem(json, "attention");
    ck_assert_int_eq(cJSON_GetArraySize(attention), 3);
    inspection_attention(&in, 1);
    for (int h = 0; h < 3; h++)
        for (int q = 0; q < TOKENS; q++)
            for (int k = 0; k < TOKENS; k++) {
                const cJSON *weights =
                    cJSON_GetObjectItem(cJSON_GetArrayItem(attention, h), "weights");
                EXPECT((float)number(cJSON_GetArrayItem(weights, q), k) ==
                       in.weights[(h * TOKENS + q) * TOKENS + k]);
            }
    inspection_gradient(&in, 6);
    const cJSON *gradient = cJSON_GetObjectItem(json, "gradient"),
                *vectors = cJSON_GetObjectItem(gradient, "vectors");
    for (int t = 0; t < TOKENS; t++) {
        EXPECT_MSG((number(cJSON_GetObjectItem(gradient, "norms"), t) == 0) == (t > 6),
                   "norm at %d: %g", t, number(cJSON_GetObjectItem(gradient, "norms"), t));
        for (int i = 0; i < WIDTH; i++)
            EXPECT((float)number(cJSON_GetArrayItem(vectors, t), i) == in.gradient[t * WIDTH + i]);
    }
    inspection_close(&in);
    cJSON_Delete(json);
    leave();
}
END_TEST

/* Bars have no length if all gradients are zero, and full length if one is infinite. */
START_TEST(bars_of_zero_and_infinity)
{
    static const struct {
        double norm;
        size_t bars;
    } cases[] = {{0, 0}, {1, 1}, {INFINITY, 1}, {NAN, 0}};
    const struct terminal plain = {TERMINAL_PLAIN, 80};
    enter();
    struct inspection in;
    OK(inspection_open(&in, model_path, &err));
    OK(inspection_run(&in, text, strlen(text), &err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static char printed[1 << 16]; /* too small for a bar without end */
        memset(in.gradient, 0, in.T * WIDTH * sizeof *in.gradient);
        memset(in.norms, 0, in.T * sizeof *in.norms);
        in.norms[2] = cases[i].norm;
        FILE *f = fmemopen(printed, sizeof printed, "w");
        lens_print_gradient(f, &plain, &in, 6);
        ck_assert(!fclose(f));
        ck_assert_uint_eq(occurrences(printed, " #"), cases[i].bars);
        struct drawing *d = drawing_create(&err);
        ck_assert_ptr_nonnull(d);
        lens_draw_gradient(d, &in, 6);
        OK(drawing_save(d, picture_path, &err));
        ck_assert_uint_eq(occurrences(slurp(picture_path), "nan"), 0);
        ck_assert_uint_eq(occurrences(slurp(picture_path), "inf"), 0);
    }
    inspection_close(&in);
    leave();
}
END_TEST

START_TEST(wrong_usage_and_errors)
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

static float weights[9] = {1, 0, 0, 0.25f, 0.75f, 0, 0.04f, 0.36f, 0.6f};
static char names[1][64] = {"h.0 head 0"};
static struct heatmap_label labels[3] = {{"a", 1}, {"b&", 2}, {"世", 2}};
static const struct heatmaps maps = {"a < b", 1, 1, 3, weights, names, labels};

static cairo_status_t read_bytes(void *file, unsigned char *bytes, unsigned n)
{
    return fread(bytes, 1, n, file) == n ? CAIRO_STATUS_SUCCESS : CAIRO_STATUS_READ_ERROR;
}

/* Finds the first cell by its colour; the others are 40 pixels apart. */
static void check_cells(FILE *png)
{
    cairo_surface_t *image = cairo_image_surface_create_from_png_stream(read_bytes, png);
    ck_assert_int_eq(cairo_surface_status(image), CAIRO_STATUS_SUCCESS);
    const int width = cairo_image_surface_get_width(image),
              height = cairo_image_surface_get_height(image);
    const uint32_t *pixels = (const uint32_t *)cairo_image_surface_get_data(image);
    int first = 0;
    while ((pixels[first] & 0xffffff) != heatmap_colour(1))
        EXPECT(++first < width * height);
    for (int q = 0; q < 3; q++)
        for (int k = 0; k < 3; k++)
            for (int corner = 0; corner < 4; corner++) {
                const uint32_t pixel = pixels[first + (40 * q + corner / 2 * 39) * width + 40 * k +
                                              corner % 2 * 39],
                               colour = heatmap_colour(weights[q * 3 + k]);
                if (k > q)
                    EXPECT((pixel & 0xffffff) == 0xffffff);
                else
                    EXPECT_MSG((pixel & 0xffffff) == colour, "cell %d,%d: %06x", q, k, pixel);
            }
    cairo_surface_destroy(image);
}

/* The PNG in an SVG. */
static FILE *embedded_image(char *svg)
{
    static uint8_t png[1 << 16];
    size_t size = sizeof png;
    struct base64_decode_ctx context;
    char *begin = strstr(svg, "data:image/png;base64,");
    ck_assert_ptr_nonnull(begin);
    begin += strlen("data:image/png;base64,");
    base64_decode_init(&context);
    ck_assert(base64_decode_update(&context, &size, png, strcspn(begin, "\""), begin));
    return fmemopen(png, size, "r");
}

static void save(const char *path)
{
    struct drawing *d = drawing_create(&err);
    ck_assert_msg(d != NULL, "%s", err.text);
    heatmap_draw(&maps, d);
    OK(drawing_save(d, path, &err));
}

START_TEST(pictures_show_the_weights)
{
    char path[64];
    enter();
    snprintf(path, sizeof path, "%s/picture.png", dir);
    save(path);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    check_cells(f);
    fclose(f);
    unlink(path);

    save(picture_path);
    char *svg = slurp(picture_path);
    ck_assert_uint_eq(occurrences(svg, "<svg "), 1);
    ck_assert_str_eq(svg + strlen(svg) - 7, "</svg>\n");
    f = embedded_image(svg);
    check_cells(f);
    fclose(f);

    snprintf(path, sizeof path, "%s/picture.pdf", dir);
    save(path);
    ck_assert_int_eq(strncmp(slurp(path), "%PDF-", 5), 0);
    unlink(path);
    leave();
}
END_TEST

START_TEST(errors_of_pictures)
{
    OK(drawing_check_name("a.png", &err));
    OK(drawing_check_name("/x/a.b.svg", &err));
    OK(drawing_check_name("a.pdf", &err));
    FAILS(drawing_check_name("a.gif", &err), "a.gif: expected a file name that ends in .png");
    FAILS(drawing_check_name(".svg", &err), ".svg");
    FAILS(drawing_check_name("svg", &err), "svg");
    struct drawing *d = drawing_create(&err);
    heatmap_draw(&maps, d);
    FAILS(drawing_save(d, "/nonexistent/a.png", &err), "/nonexistent/a.png");
}
END_TEST

START_TEST(terminal_shows_the_weights)
{
    static float many[5 * 9];
    static char many_names[5][64] = {"h.0 head 0", "h.0 head 1", "h.1 head 0", "h.1 head 1",
                                     "last"};
    const struct terminal plain = {TERMINAL_PLAIN, 80}, colours = {TERMINAL_24_BIT, 80},
                          cube = {TERMINAL_256, 80};
    char *bytes = NULL;
    size_t n;
    setlocale(LC_CTYPE, "C.UTF-8");
    FILE *f = open_memstream(&bytes, &n);
    heatmap_terminal(&maps, &plain, f);
    fflush(f);
    ck_assert_ptr_nonnull(
        strstr(bytes, "\n   a b 世\n     &   \n a @@    \nb& ++%%  \n世 ::**##\n"));
    ck_assert_ptr_null(strchr(bytes, '\033'));
    rewind(f);
    heatmap_terminal(&maps, &colours, f);
    fflush(f);
    ck_assert_ptr_nonnull(strstr(bytes, "\033[48;2;253;231;37m  \033[0m    \n"));
    rewind(f);
    heatmap_terminal(&maps, &cube, f);
    fflush(f);
    ck_assert_ptr_nonnull(strstr(bytes, "\033[48;5;220m  \033[0m    \n"));
    for (size_t i = 0; i < 5; i++)
        memcpy(many + i * 9, weights, sizeof weights);
    rewind(f);
    heatmap_terminal(&(struct heatmaps){"", 5, 2, 3, many, many_names, labels}, &plain, f);
    fclose(f);
    ck_assert_ptr_nonnull(strstr(bytes, "\nh.1 head 0    h.1 head 1  \n"
                                        "@@            @@    \n"
                                        "++%%          ++%%  \n"
                                        "::**##        ::**##\n\n"
                                        "last        \n@@    \n"));
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

SUITE("train/lens", numbers_equal_those_of_grad, rejects_invalid_texts, json_holds_all_numbers,
      bars_of_zero_and_infinity, wrong_usage_and_errors, pictures_show_the_weights,
      errors_of_pictures, terminal_shows_the_weights, every_token_is_visible)
