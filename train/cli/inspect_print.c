/* inspect_print.c: the description of a file as JSON or as text. Strings come from the file, so
 * they are printed escaped. */
#include "train/cli/inspect.h"
#include "train/cli/options.h"
#include "train/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INDENT = INSPECT_INDENT, COLUMNS = 100 };

static void print_bold(const char *text)
{
    printf(isatty(STDOUT_FILENO) ? "\033[1m%s\033[0m" : "%s", text);
}

static double number(const cJSON *object, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItem(object, name));
}

static const char *string(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
}

/* Writes 1234567 as 1,234,567 and other numbers with six digits. */
static char *format_number(double x, char text[32])
{
    if (!(fabs(x) < 1e15) || x != floor(x)) {
        snprintf(text, 32, "%.6g", x);
        return text;
    }
    size_t n = snprintf(text, 32, "%.0f", x);
    for (size_t i = n; i > (x < 0 ? 4 : 3); n++) {
        i -= 3;
        memmove(text + i + 1, text + i, n - i + 1);
        text[i] = ',';
    }
    return text;
}

static const char *format_scalar(const cJSON *item, char text[32])
{
    if (cJSON_IsBool(item))
        return cJSON_IsTrue(item) ? "yes" : "no";
    if (cJSON_IsNumber(item))
        return format_number(item->valuedouble, text);
    return item->valuestring ? item->valuestring : "";
}

static void print_text(const char *text)
{
    print_escaped(text, strlen(text), 0);
}

/* Prints "name value, name value, …" and starts a new line at COLUMNS. */
static void print_members(const cJSON *object)
{
    char buffer[32];
    size_t column = INDENT;
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        const char *value = format_scalar(item, buffer);
        const size_t length = strlen(item->string) + strlen(value) + 3;
        const bool first = item == object->child, wrap = !first && column + length > COLUMNS;
        column = (wrap ? INDENT : column) + length;
        printf("%s%*s", first ? "" : wrap ? ",\n" : ", ", wrap ? INDENT : 0, "");
        print_text(item->string);
        putchar(' ');
        print_text(value);
    }
    putchar('\n');
}

/* Prints a member of the description: a scalar, an object, an object of objects or an array of
 * objects. */
static void print_item(const cJSON *item, const char *label)
{
    char buffer[32];
    if (cJSON_IsArray(item) || cJSON_IsObject(item->child)) {
        for (const cJSON *child = item->child; child; child = child->next) {
            print_item(child, child->string ? child->string : label);
            label = "";
        }
    } else if (!cJSON_IsNumber(item) || !isnan(item->valuedouble)) {
        printf("  %-*s", INDENT - 2, label);
        if (cJSON_IsObject(item)) {
            print_members(item);
        } else {
            print_text(format_scalar(item, buffer));
            putchar('\n');
        }
    }
}

static void print_tensors(const cJSON *tensors)
{
    int width = 6;
    char text[256];
    const cJSON *t;
    cJSON_ArrayForEach(t, tensors)
    {
        const int length = strlen(string(t, "name"));
        width = length > width ? length : width;
    }
    snprintf(text, sizeof text, "\n  %-*s  %-14s %11s %11s %11s %11s\n", width, "tensor", "shape",
             "mean", "std", "min", "max");
    print_bold(text);
    cJSON_ArrayForEach(t, tensors)
    {
        const cJSON *rows = cJSON_GetObjectItem(t, "shape")->child;
        if (rows->next)
            snprintf(text, sizeof text, "(%d, %d)", rows->valueint, rows->next->valueint);
        else
            snprintf(text, sizeof text, "(%d)", rows->valueint);
        printf("  %-*s  %-14s %11.4g %11.4g %11.4g %11.4g", width, string(t, "name"), text,
               number(t, "mean"), number(t, "std"), number(t, "min"), number(t, "max"));
        if (number(t, "non_finite") > 0)
            printf("  %.0f NOT FINITE", number(t, "non_finite"));
        putchar('\n');
    }
}

static void print_description(const cJSON *object)
{
    struct stat st;
    char size[32];
    const char *path = string(object, "file");
    const cJSON *item, *tensors = cJSON_GetObjectItem(object, "tensors");
    print_bold(path);
    printf("  %s, %s bytes\n\n", string(object, "kind"),
           format_number(stat(path, &st) ? NAN : (double)st.st_size, size));
    cJSON_ArrayForEach(item, object)
    {
        if (item != tensors && strcmp(item->string, "kind") && strcmp(item->string, "file"))
            print_item(item, item->string);
    }
    if (tensors)
        print_tensors(tensors);
}

cJSON *inspect_begin(const struct inspect *in, const char *kind)
{
    return json_add(NULL, FIELDS(TEXT("kind", kind), TEXT("file", in->path)));
}

void inspect_add_tokenizer(cJSON *object, const char *kind, uint64_t vocab_size,
                           const char *fingerprint)
{
    cJSON *tokenizer = cJSON_AddObjectToObject(object, "tokenizer");
    json_add(tokenizer, FIELDS(TEXT("kind", kind), NUMBER("vocab_size", vocab_size),
                               TEXT("fingerprint", fingerprint)));
}

void inspect_print(const struct inspect *in, cJSON *object)
{
    if (in->verify)
        cJSON_AddBoolToObject(object, "verified", !in->problems);
    if (in->json) {
        json_print(object);
        return;
    }
    print_description(object);
    cJSON_Delete(object);
}

void inspect_problem(struct inspect *in, const struct error *problem)
{
    fflush(stdout);
    print_error(problem);
    in->problems++;
}
