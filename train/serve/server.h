/* server.h: the HTTP server behind `handgrad serve`: read-only, and limited to what the table of
 * routes names. No path of a request becomes the path of a file.
 *
 * By default it listens on the loopback interface. Pages of other sites cannot use it: a request is
 * refused if its Host is a name that DNS rebinding may point here, or if the browser says that it
 * comes from another site. */
#pragma once

#include "base/error.h"
#include "train/lens/model_cache.h"
#include "train/report/history.h"
#include <microhttpd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct server {
    struct history *runs;
    size_t n;
    pthread_mutex_t lock; /* of the runs */
    struct model_cache cache;
    char *policy; /* Content-Security-Policy */
    bool loopback;
    struct MHD_Daemon *daemon;
    char url[64];
};

/* A request and its answer: text, which the server frees, or, if next is set, a stream (see
 * MHD_create_response_from_callback). */
struct request {
    struct server *server;
    struct MHD_Connection *connection;
    unsigned status; /* 0: 200, or 400 after an error */
    const char *type;
    char *text;
    size_t size;
    MHD_ContentReaderCallback next;
    MHD_ContentReaderFreeCallback end;
    void *stream;
    struct error err;
};

/* The functions below return 0, or -1 or NULL after filling in q->err and perhaps q->status. */

/* Answers with allocated text; NULL: out of memory. */
int answer_text(struct request *q, const char *type, char *text);
/* Answers with JSON, and deletes it. */
int answer_json(struct request *q, cJSON *json);

/* A parameter of the query, owned by the connection; NULL if it is missing. */
const char *request_parameter(const struct request *q, const char *name);
/* An integer of the query from 0 to max, or `absent` if it is missing. */
int request_number(struct request *q, const char *name, uint64_t max, uint64_t absent,
                   uint64_t *value);
/* The run with the index in the query, by default the first. */
struct history *request_run(struct request *q);

/* A path and the function that answers it, on one of several threads. */
struct route {
    const char *path;
    int (*answer)(struct request *q);
};
extern const struct route routes[];
extern const size_t route_count;

/* The answers about a model (routes_lens.c); the table in routes.c lists their parameters. */
int answer_checkpoints(struct request *q);
int answer_lens(struct request *q);
int answer_attention(struct request *q);
int answer_gradient(struct request *q);
int answer_generate(struct request *q);

/* Starts the server on an IPv4 or IPv6 address; port 0: any free one. Sets s->url. */
int server_start(struct server *s, const char *address, uint16_t port, struct error *err);
void server_stop(struct server *s);
