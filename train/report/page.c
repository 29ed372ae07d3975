/* page.c: see page.h. web/report.html holds marks {{name}}; each is replaced by what `marks` says, in one pass. */
#include "train/report/page.h"
#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

/* web/files.S */
extern const char web_report_html[], web_style_css[], web_dygraph_css[], web_dygraph_js[],
    web_dygraph_licence[], web_chart_js[], web_heat_js[], web_report_js[], web_lens_js[];

/* In the order in which they run. */
static const char *const scripts[] = {web_dygraph_js, web_chart_js, web_heat_js, web_report_js,
                                      web_lens_js};
enum { SCRIPTS = sizeof scripts / sizeof *scripts };

struct page {
    FILE *out;
    const struct history *runs;
    size_t n;
    bool live;
};

char *page_policy(void)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs("default-src 'none'; script-src", out);
    for (size_t i = 0; i < SCRIPTS; i++) {
        struct sha256_ctx sha;
        uint8_t digest[SHA256_DIGEST_SIZE];
        char encoded[BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE)];
        sha256_init(&sha);
        sha256_update(&sha, strlen(scripts[i]), (const uint8_t *)scripts[i]);
        sha256_digest(&sha, sizeof digest, digest);
        base64_encode_raw(encoded, sizeof digest, digest);
        fprintf(out, " 'sha256-%.*s'", (int)sizeof encoded, encoded);
    }
    fputs("; style-src 'unsafe-inline'; img-src data: blob:; connect-src 'self'; base-uri 'none'; "
          "form-action 'none'",
          out);
    return fclose(out) ? NULL : text;
}

/* Outside strings JSON has none of these characters, so an escape may stand for them wherever they are. */
void page_embed_json(FILE *out, const char *json)
{
    for (size_t n; *json; json += n) {
        n = strcspn(json, "<>&");
        if (n)
            fwrite(json, 1, n, out);
        else
            n = (size_t)(fprintf(out, "\\u%04x", (unsigned)*json) > 0);
    }
}

static int put_policy(const struct page *p)
{
    char *policy = page_policy();
    if (!policy)
        return -1;
    fputs(policy, p->out);
    free(policy);
    return 0;
}

static int put_style(const struct page *p)
{
    fputs(web_dygraph_css, p->out);
    fputs(web_style_css, p->out);
    return 0;
}

static int put_scripts(const struct page *p)
{
    for (size_t i = 0; i < SCRIPTS; i++)
        fprintf(p->out, "<script>%s</script>\n", scripts[i]);
    return 0;
}

static int put_licence(const struct page *p)
{
    fputs(web_dygraph_licence, p->out);
    return 0;
}

static int put_data(const struct page *p)
{
    char *json;
    size_t size;
    FILE *memory = open_memstream(&json, &size);
    if (!memory)
        return -1;
    fprintf(memory, "{\"live\":%s,\"runs\":[", p->live ? "true" : "false");
    for (size_t i = 0; i < p->n; i++) {
        if (i)
            putc(',', memory);
        history_json(&p->runs[i], &(struct history_seen){0}, memory);
    }
    fputs("]}", memory);
    if (fclose(memory))
        return -1;
    page_embed_json(p->out, json);
    free(json);
    return 0;
}

int page_write(FILE *out, const struct history *runs, size_t n, bool live)
{
    static const struct {
        const char *name;
        int (*put)(const struct page *p);
    } marks[] = {{"policy", put_policy},
                 {"style", put_style},
                 {"data", put_data},
                 {"licence", put_licence},
                 {"scripts", put_scripts}};
    const struct page p = {out, runs, n, live};
    const char *text = web_report_html;
    for (const char *mark; (mark = strstr(text, "{{")); text = strstr(mark, "}}") + 2) {
        fwrite(text, 1, (size_t)(mark - text), out);
        for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
            if (!strncmp(mark + 2, marks[i].name, strlen(marks[i].name)) && marks[i].put(&p))
                return -1;
    }
    fputs(text, out);
    return 0;
}
