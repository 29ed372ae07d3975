/* routes_lens.h: the answers about a model; the table in routes.c lists their parameters. */
#ifndef ROUTES_LENS_H
#define ROUTES_LENS_H

#include "train/serve/server.h"

int answer_checkpoints(const struct request *q, struct reply *r);
int answer_lens(const struct request *q, struct reply *r);
int answer_attention(const struct request *q, struct reply *r);
int answer_gradient(const struct request *q, struct reply *r);
int answer_generate(const struct request *q, struct reply *r);

#endif
