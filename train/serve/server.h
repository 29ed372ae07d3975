/* server.h: the HTTP server behind `handgrad serve`: read-only, and only what the table of routes names; no path of a request
 * becomes a path of a file.
 *
 * By default it listens on the loopback interface. Pages of other sites cannot use it: a request is refused if its Host is a name
 * that DNS rebinding may point here, or if the browser says that it comes from another site. */
#ifndef SERVER_H
#define SERVER_H

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

struct request {
    struct server *server;
    struct MHD_Connection *connection;
};

/* The answer to a request: text, which the server frees, or, if next is set, a stream (see MHD_create_response_from_callback). */
struct reply {
    unsigned status; /* 0: 200 */
    const char *type;
    char *text;
    size_t size;
    MHD_ContentReaderCallback next;
    MHD_ContentReaderFreeCallback end;
    void *stream;
};

/* Replies with a status from 400 on and one line, "handgrad: …". Returns 0. */
int reply_error(struct reply *r, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Replies with allocated text, or with JSON, which is deleted. Returns -1 if it is NULL, or out of memory. */
int reply_text(struct reply *r, const char *type, char *text);
int reply_json(struct reply *r, cJSON *json);

/* A parameter of the query, owned by the connection; NULL if it is missing. */
const char *request_parameter(const struct request *q, const char *name);
/* An integer of the query from 0 to max, or `absent` if it is missing. Returns -1 after filling in the reply if it is invalid. */
int request_number(const struct request *q, const char *name, uint64_t max, uint64_t absent,
                   uint64_t *value, struct reply *r);
/* The run with the index in the query, by default the first. Returns NULL after filling in the reply if there is none. */
struct history *request_run(const struct request *q, struct reply *r);

/* A path, and the function that answers it, on one of several threads. The function returns -1 if out of memory. */
struct route {
    const char *path;
    int (*answer)(const struct request *q, struct reply *r);
};
extern const struct route routes[];
extern const size_t route_count;

/* Starts the server on an IPv4 or IPv6 address; port 0: any free one. Sets s->url. */
int server_start(struct server *s, const char *address, uint16_t port, struct error *err);
void server_stop(struct server *s);

#endif
