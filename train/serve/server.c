/* server.c: see server.h. HTTP itself is libmicrohttpd's. */
#include "train/serve/server.h"
#include "train/report/page.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, IDLE_SECONDS = 30, CONNECTIONS = 1000 };

int reply_error(struct reply *r, unsigned status, const char *format, ...)
{
    struct error line;
    char text[sizeof line.text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fail(&line, "%s", text);
    r->status = status;
    r->type = "text/plain; charset=utf-8";
    const int size = asprintf(&r->text, "handgrad: %s\n", line.text);
    r->size = size < 0 ? 0 : (size_t)size;
    if (size < 0)
        r->text = NULL;
    return 0;
}

const char *request_parameter(const struct request *q, const char *name)
{
    return MHD_lookup_connection_value(q->connection, MHD_GET_ARGUMENT_KIND, name);
}

int request_number(const struct request *q, const char *name, uint64_t max, uint64_t otherwise,
                   uint64_t *value, struct reply *r)
{
    const char *text = request_parameter(q, name);
    char *end;
    *value = otherwise;
    if (!text)
        return 0;
    errno = 0;
    *value = strtoull(text, &end, 10);
    if (!errno && *text >= '0' && *text <= '9' && !*end && *value <= max)
        return 0;
    reply_error(r, MHD_HTTP_BAD_REQUEST,
                "%s: expected a whole number of at most %llu, got \"%.100s\"", name,
                (unsigned long long)max, text);
    return -1;
}

struct history *request_run(const struct request *q, struct reply *r)
{
    uint64_t run;
    return request_number(q, "run", q->server->n - 1, 0, &run, r) ? NULL : &q->server->runs[run];
}

/* --- who may ask --- */

/* A Host without its port, and without the brackets of IPv6. */
static bool host_part(const char *host, char *name, size_t size)
{
    const char *begin = host + (*host == '['),
               *end = *host == '[' ? strchr(host, ']') : host + strcspn(host, ":");
    if (!end || (size_t)(end - begin) >= size)
        return false;
    memcpy(name, begin, (size_t)(end - begin));
    name[end - begin] = 0;
    end += *host == '[';
    return !*end || (*end == ':' && end[1 + strspn(end + 1, "0123456789")] == 0);
}

/* Another site's name may be made to resolve to this machine, its address may not. */
static bool host_allowed(const struct server *s, const char *host)
{
    char name[256];
    struct in_addr v4;
    struct in6_addr v6;
    if (!host || !host_part(host, name, sizeof name))
        return false;
    if (!strcasecmp(name, "localhost"))
        return true;
    if (inet_pton(AF_INET, name, &v4) == 1)
        return !s->loopback || (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, name, &v6) == 1 && (!s->loopback || IN6_IS_ADDR_LOOPBACK(&v6));
}

/* Browsers say where a request comes from; other programs say nothing. */
static bool site_allowed(const char *site)
{
    return !site || !strcmp(site, "same-origin") || !strcmp(site, "none");
}

/* --- answering --- */

static ssize_t stream_next(void *stream, uint64_t position, char *bytes, size_t room)
{
    const struct reply *r = stream;
    (void)position;
    const ssize_t n = r->next(r->stream, bytes, room);
    return n > 0    ? n
           : n == 0 ? MHD_CONTENT_READER_END_OF_STREAM
                    : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void stream_end(void *stream)
{
    struct reply *r = stream;
    if (r->end)
        r->end(r->stream);
    free(r);
}

static struct MHD_Response *make_response(struct reply *r)
{
    if (!r->next)
        return MHD_create_response_from_buffer(r->size, r->text, MHD_RESPMEM_MUST_FREE);
    struct reply *copy = malloc(sizeof *copy);
    struct MHD_Response *response = NULL;
    if (copy) {
        *copy = *r;
        response =
            MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 256, stream_next, copy, stream_end);
    }
    if (!response) {
        if (r->end)
            r->end(r->stream);
        free(copy);
    }
    return response;
}

static enum MHD_Result send_reply(struct server *s, struct MHD_Connection *connection,
                                  struct reply *r)
{
    struct MHD_Response *response = make_response(r);
    if (!response) {
        free(r->text);
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", r->type);
    MHD_add_response_header(response, "Content-Security-Policy", s->policy);
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "X-Frame-Options", "DENY");
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "Cache-Control", "no-store");
    if (r->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", "GET, HEAD");
    const enum MHD_Result result =
        MHD_queue_response(connection, r->status ? r->status : MHD_HTTP_OK, response);
    MHD_destroy_response(response);
    return result;
}

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < route_count; i++)
        if (!strcmp(path, routes[i].path))
            return &routes[i];
    return NULL;
}

static void answer(struct server *s, struct MHD_Connection *connection, const char *path,
                   const char *method, struct reply *r)
{
    const struct route *route = find_route(path);
    const struct request q = {s, connection};
    if (!host_allowed(s, MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host")))
        reply_error(r, MHD_HTTP_FORBIDDEN, "the Host of a request has to be %s",
                    s->loopback ? "localhost" : "an address");
    else if (!site_allowed(
                 MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Sec-Fetch-Site")) &&
             route != routes)
        reply_error(r, MHD_HTTP_FORBIDDEN, "a page of another site may not ask");
    else if (strcmp(method, "GET") && strcmp(method, "HEAD"))
        reply_error(r, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET: nothing here can be changed");
    else if (!route)
        reply_error(r, MHD_HTTP_NOT_FOUND, "there is no %.200s", path);
    else if (route->answer(&q, r)) {
        free(r->text);
        *r = (struct reply){0};
        reply_error(r, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory to answer");
    }
}

/* Called first with the headers alone; a body, which nothing here wants, is read and dropped before the answer. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *body,
                              size_t *body_size, void **state)
{
    static int begun;
    (void)version;
    (void)body;
    if (!*state) {
        *state = &begun;
        return MHD_YES;
    }
    if (*body_size) {
        *body_size = 0;
        return MHD_YES;
    }
    struct reply r = {0};
    answer(context, connection, path, method, &r);
    return send_reply(context, connection, &r);
}

/* What libmicrohttpd has to say about broken requests is for nobody. */
static void quiet(void *context, const char *format, va_list args)
{
    (void)context;
    (void)format;
    (void)args;
}

static int parse_address(const char *text, uint16_t port, struct sockaddr_storage *a,
                         bool *loopback)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    *a = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(a, &v4, sizeof v4);
        *loopback = (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
        return 0;
    }
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1) {
        memcpy(a, &v6, sizeof v6);
        *loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
        return 0;
    }
    return -1;
}

int server_start(struct server *s, const char *address, uint16_t port, struct error *err)
{
    struct sockaddr_storage a;
    if (parse_address(address, port, &a, &s->loopback))
        return fail(err, "--bind: expected an address such as 127.0.0.1, got \"%.100s\"", address);
    s->policy = page_policy();
    if (!s->policy)
        return fail(err, "no memory to serve");
    pthread_mutex_init(&s->lock, NULL);
    lens_room_open(&s->lens);
    const unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_USE_ERROR_LOG |
                           (a.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0);
    errno = 0;
    s->daemon =
        MHD_start_daemon(flags, port, NULL, NULL, handle, s, MHD_OPTION_EXTERNAL_LOGGER, quiet,
                         NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&a,
                         MHD_OPTION_THREAD_POOL_SIZE, THREADS, MHD_OPTION_CONNECTION_LIMIT,
                         CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, MHD_OPTION_END);
    if (!s->daemon)
        return fail(err, "%s port %u: %s", address, port,
                    errno ? strerror(errno) : "cannot listen there");
    const unsigned bound = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    snprintf(s->url, sizeof s->url, a.ss_family == AF_INET6 ? "http://[%s]:%u/" : "http://%s:%u/",
             address, bound);
    return 0;
}

void server_stop(struct server *s)
{
    if (s->daemon) {
        MHD_stop_daemon(s->daemon);
        pthread_mutex_destroy(&s->lock);
        lens_room_close(&s->lens);
    }
    free(s->policy);
    s->daemon = NULL;
    s->policy = NULL;
}
