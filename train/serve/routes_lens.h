/* routes_lens.h: the answers about a model; the table in routes.c lists their parameters. */
#ifndef ROUTES_LENS_H
#define ROUTES_LENS_H

#include "train/serve/server.h"

int answer_checkpoints(struct request *q);
int answer_lens(struct request *q);
int answer_attention(struct request *q);
int answer_gradient(struct request *q);
int answer_generate(struct request *q);

#endif
