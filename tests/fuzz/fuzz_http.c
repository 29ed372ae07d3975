/* fuzz_http.c: a request to `handgrad serve`, as libmicrohttpd passes it on. The input has one line
 * each for method, path, Host and Sec-Fetch-Site, then a line NAME=VALUE for each parameter.
 * FUZZ_RUN is a run directory with a checkpoint. */
#include "tests/fuzz/fuzz.h"
#include "train/serve/server.c"

static struct history run;
static struct server server = {
    .runs = &run, .n = 1, .lock = PTHREAD_MUTEX_INITIALIZER, .loopback = true};

static struct {
    char *lines[32];
    size_t n;
} request;

/* Replaces the function of libmicrohttpd. */
const char *MHD_lookup_connection_value(struct MHD_Connection *connection, enum MHD_ValueKind kind,
                                        const char *key)
{
    (void)connection;
    if (kind == MHD_HEADER_KIND) {
        char *line = request.lines[strcmp(key, "Host") ? 3 : 2];
        return line && *line ? line : NULL;
    }
    const size_t n = strlen(key);
    for (size_t i = 4; i < request.n; i++)
        if (!strncmp(request.lines[i], key, n) && request.lines[i][n] == '=')
            return request.lines[i] + n + 1;
    return NULL;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    struct error err;
    if (!getenv("FUZZ_RUN") || history_open(&run, getenv("FUZZ_RUN"), &err) ||
        !(server.policy = page_policy()))
        abort();
    model_cache_create(&server.cache);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size), *rest = text, *line;
    struct request q = {.server = &server};
    memset(&request, 0, sizeof request);
    while (request.n < 32 && (line = strsep(&rest, "\n")))
        request.lines[request.n++] = line;
    /* the page, which is long and always the same, is requested rarely */
    if (request.n >= 4 && (size % 16 == 0 || strcmp(request.lines[1], "/"))) {
        answer(&q, request.lines[1], request.lines[0]);
        char bytes[64];
        for (int i = 0; q.next && i < 16 && q.next(q.stream, 0, bytes, 1 + size % sizeof bytes) > 0;
             i++)
            ;
        if (q.next)
            q.end(q.stream);
        else if (!q.type || (!q.text && q.size) || (q.status && (q.status < 200 || q.status > 599)))
            abort();
        free(q.text);
    }
    free(text);
    return 0;
}
