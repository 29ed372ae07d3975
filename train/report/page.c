/* page.c: see page.h. The marks {{name}} in web/report.html are replaced by the parts named. */
#include "train/report/page.h"
#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

/* web/files.S */
extern const char web_report_html[], web_style_css[], web_dygraph_css[], web_dygraph_js[],
    web_dygraph_licence[], web_chart_js[], web_heat_js[], web_report_js[], web_lens_js[];

/* In the order of execution. */
static const char *const scripts[] = {web_dygraph_js, web_chart_js, web_heat_js, web_report_js,
                                      web_lens_js};
enum { SCRIPTS = sizeof scripts / sizeof *scripts };

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

/* In JSON these characters occur in strings only, where an escape is equivalent. */
void page_embed_json(FILE *out, const char *json)
{
    for (; *json; json++)
        if (strchr("<>&", *json))
            fprintf(out, "\\u%04x", (unsigned)*json);
        else
            putc(*json, out);
}

static int put_data(FILE *out, const struct history *runs, size_t n, bool live,
                    const cJSON *attention)
{
    int status = 0;
    fprintf(out, "{\"live\":%s,\"runs\":[", live ? "true" : "false");
    for (size_t i = 0; i < n; i++) {
        char *json = history_json(&runs[i], &(struct history_seen){0});
        if (!json)
            return -1;
        fputs(i ? "," : "", out);
        page_embed_json(out, json);
        free(json);
    }
    fputs("]", out);
    if (attention) {
        char *json = cJSON_PrintUnformatted(attention);
        fputs(",\"attention\":", out);
        if (json)
            page_embed_json(out, json);
        status = json ? 0 : -1;
        free(json);
    }
    fputs("}", out);
    return status;
}

char *page_html(const struct history *runs, size_t n, bool live, const cJSON *attention)
{
    char *html, *policy = page_policy();
    size_t size;
    FILE *out = open_memstream(&html, &size);
    int status = policy ? 0 : -1;
    const char *text = web_report_html;
    for (const char *mark; out && (mark = strstr(text, "{{")); text = strstr(mark, "}}") + 2) {
        fwrite(text, 1, (size_t)(mark - text), out);
        if (!strncmp(mark, "{{policy", 8))
            fputs(policy ? policy : "", out);
        else if (!strncmp(mark, "{{style", 7))
            fprintf(out, "%s%s", web_dygraph_css, web_style_css);
        else if (!strncmp(mark, "{{data", 6))
            status |= put_data(out, runs, n, live, attention);
        else if (!strncmp(mark, "{{licence", 9))
            fputs(web_dygraph_licence, out);
        else
            for (size_t i = 0; i < SCRIPTS; i++)
                fprintf(out, "<script>%s</script>\n", scripts[i]);
    }
    free(policy);
    if (!out)
        return NULL;
    fputs(text, out);
    if ((fclose(out) | status) == 0)
        return html;
    free(html);
    return NULL;
}
