/* server.c: see server.h. HTTP itself is implemented by libmicrohttpd. */
#include "train/serve/server.h"
#include "train/report/page.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, IDLE_SECONDS = 30, CONNECTIONS = 1000, STREAM_BLOCK = 256 };

int answer_text(struct request *q, const char *type, char *text)
{
    q->type = type;
    q->text = text;
    q->size = text ? strlen(text) : 0;
    q->status = text ? q->status : MHD_HTTP_INTERNAL_SERVER_ERROR;
    return text ? 0 : fail(&q->err, "no memory for the answer");
}

int answer_json(struct request *q, cJSON *json)
{
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return answer_text(q, "application/json", text);
}

const char *request_parameter(const struct request *q, const char *name)
{
    return MHD_lookup_connection_value(q->connection, MHD_GET_ARGUMENT_KIND, name);
}

int request_number(struct request *q, const char *name, uint64_t max, uint64_t absent,
                   uint64_t *value)
{
    const char *text = request_parameter(q, name);
    char *end;
    *value = absent;
    if (!text)
        return 0;
    errno = 0;
    *value = strtoull(text, &end, 10);
    if (!errno && *text >= '0' && *text <= '9' && !*end && *value <= max)
        return 0;
    return fail(&q->err, "%s: expected an integer from 0 to %llu, got \"%.100s\"", name,
                (unsigned long long)max, text);
}

struct history *request_run(struct request *q)
{
    uint64_t run;
    return request_number(q, "run", q->server->n - 1, 0, &run) ? NULL : &q->server->runs[run];
}

/* --- addresses --- */

/* Reads an IPv4 or IPv6 address. */
static bool parse_address(const char *text, uint16_t port, struct sockaddr_storage *a,
                          bool *loopback)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)a;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)a;
    *a = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        *loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
        return true;
    }
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    const bool valid = inet_pton(AF_INET6, text, &v6->sin6_addr) == 1;
    *loopback = valid && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    return valid;
}

/* Only addresses and localhost are allowed: other sites may make a name resolve to this machine. */
static bool host_allowed(const struct server *s, const char *host)
{
    struct sockaddr_storage a;
    bool loopback;
    char copy[256], *name = copy, *end;
    snprintf(copy, sizeof copy, "%s", host ? host : "");
    if (*name == '[' && (end = strchr(name, ']'))) /* IPv6 */
        name++;
    else
        end = name + strcspn(name, ":");
    const char *port = end + (*end == ']');
    if (*port && (*port != ':' || port[1 + strspn(port + 1, "0123456789")]))
        return false;
    *end = 0;
    return !strcasecmp(name, "localhost") ||
           (parse_address(name, 0, &a, &loopback) && (loopback || !s->loopback));
}

/* --- answering --- */

static enum MHD_Result send_answer(const struct request *q)
{
    const char *const headers[][2] = {{"Content-Type", q->type},
                                      {"Content-Security-Policy", q->server->policy},
                                      {"X-Content-Type-Options", "nosniff"},
                                      {"X-Frame-Options", "DENY"},
                                      {"Cross-Origin-Resource-Policy", "same-origin"},
                                      {"Referrer-Policy", "no-referrer"},
                                      {"Cache-Control", "no-store"}};
    struct MHD_Response *response =
        q->next ? MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, q->next,
                                                    q->stream, q->end)
                : MHD_create_response_from_buffer(q->size, q->text, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        if (q->next)
            q->end(q->stream);
        free(q->text);
        return MHD_NO;
    }
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (q->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    const enum MHD_Result result =
        MHD_queue_response(q->connection, q->status ? q->status : MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static int refuse(struct request *q, unsigned status, const char *name, const char *reason)
{
    q->status = status;
    return fail(&q->err, "%.200s: %s", name, reason);
}

static int find_answer(struct request *q, const char *path, const char *method)
{
    const char *host = MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, "Host"),
               *site =
                   MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, "Sec-Fetch-Site");
    size_t i = 0;
    while (i < route_count && strcmp(path, routes[i].path))
        i++;
    if (!host_allowed(q->server, host))
        return refuse(q, MHD_HTTP_FORBIDDEN, "Host",
                      q->server->loopback ? "expected localhost or a loopback address"
                                          : "expected localhost or an address");
    /* Only browsers send it. A link on another site may lead to the page, the first route. */
    if (site && strcmp(site, "same-origin") && strcmp(site, "none") && i > 0)
        return refuse(q, MHD_HTTP_FORBIDDEN, path, "refused to pages of other sites");
    if (strcmp(method, "GET") && strcmp(method, "HEAD"))
        return refuse(q, MHD_HTTP_METHOD_NOT_ALLOWED, method, "expected GET or HEAD");
    if (i == route_count)
        return refuse(q, MHD_HTTP_NOT_FOUND, path, "not found");
    return routes[i].answer(q);
}

/* Answers a request, after an error with the line "handgrad: …". */
static void answer(struct request *q, const char *path, const char *method)
{
    if (find_answer(q, path, method) == 0)
        return;
    free(q->text);
    q->status = q->status ? q->status : MHD_HTTP_BAD_REQUEST;
    if (asprintf(&q->text, "handgrad: %s\n", q->err.text) < 0)
        q->text = NULL;
    q->type = "text/plain; charset=utf-8";
    q->size = q->text ? strlen(q->text) : 0;
}

/* libmicrohttpd calls this with the headers alone, then for each part of a body, which is dropped,
 * and finally for the answer. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *body,
                              size_t *body_size, void **state)
{
    static int begun;
    (void)version;
    (void)body;
    if (!*state || *body_size) {
        *state = &begun;
        *body_size = 0;
        return MHD_YES;
    }
    struct request q = {.server = context, .connection = connection};
    answer(&q, path, method);
    return send_answer(&q);
}

int server_start(struct server *s, const char *address, uint16_t port, struct error *err)
{
    struct sockaddr_storage a;
    if (!parse_address(address, port, &a, &s->loopback))
        return fail(err, "--bind: expected an address such as 127.0.0.1, got \"%.100s\"", address);
    s->policy = page_policy();
    if (!s->policy)
        return fail(err, "no memory to serve");
    pthread_mutex_init(&s->lock, NULL);
    model_cache_create(&s->cache);
    const bool is_v6 = a.ss_family == AF_INET6;
    errno = 0;
    s->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | (is_v6 ? MHD_USE_IPv6 : 0), port, NULL,
        NULL, handle, s, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&a, MHD_OPTION_THREAD_POOL_SIZE,
        THREADS, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
        IDLE_SECONDS, MHD_OPTION_END);
    if (!s->daemon)
        return fail(err, "%s port %u: %s", address, port,
                    errno ? strerror(errno) : "cannot listen there");
    snprintf(s->url, sizeof s->url, is_v6 ? "http://[%s]:%u/" : "http://%s:%u/", address,
             MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    return 0;
}

void server_stop(struct server *s)
{
    if (s->daemon) {
        MHD_stop_daemon(s->daemon);
        pthread_mutex_destroy(&s->lock);
        model_cache_destroy(&s->cache);
    }
    free(s->policy);
    s->daemon = NULL;
    s->policy = NULL;
}
