/* server.h: answers over HTTP to whoever watches a run: read-only, from a table of routes, never from paths.
 *
 * It listens on the loopback interface unless told otherwise. A page of another site cannot use it: a request whose Host is a
 * name that somebody else may point here (DNS rebinding), or that the browser says comes from another site, is refused.
 */
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
    struct lens_room lens;
    char *policy;
    bool loopback;
    struct MHD_Daemon *daemon;
    char url[64];
};

/* One request, for a route's function. */
struct request {
    struct server *server;
    struct MHD_Connection *connection;
};

/* What a route answers: text of a type, allocated, that the server frees; or a stream. */
struct reply {
    unsigned status; /* 200 where it is left 0 */
    const char *type;
    char *text;
    size_t size;
    /* A stream instead: called again and again for the next at most `room` bytes until it returns 0 (the end) or -1 (broken off);
     * end is called once, whatever happened. */
    ssize_t (*next)(void *stream, char *bytes, size_t room);
    void (*end)(void *stream);
    void *stream;
};

/* Adds one line of text as the answer, with a status from 400 on: "handgrad: …". Returns 0. */
int reply_error(struct reply *r, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A parameter of the query; NULL where it is missing. Owned by the connection. */
const char *request_parameter(const struct request *q, const char *name);
/* A whole number of the query, at most max; missing: `otherwise`. -1, with the reply filled in, where it is none. */
int request_number(const struct request *q, const char *name, uint64_t max, uint64_t otherwise,
                   uint64_t *value, struct reply *r);
/* The run that the query names by its number, 0 where it names none; NULL, with the reply filled in, where there is no such run. */
struct history *request_run(const struct request *q, struct reply *r);

/* A route: an exact path, and the function that answers. It runs on one of a few threads; -1: an internal error. */
struct route {
    const char *path;
    int (*answer)(const struct request *q, struct reply *r);
};
extern const struct route routes[];
extern const size_t route_count;

/* Starts answering. address: of an interface, IPv4 or IPv6; port 0: any that is free. s->url is where it is. */
int server_start(struct server *s, const char *address, uint16_t port, struct error *err);
void server_stop(struct server *s);

#endif
