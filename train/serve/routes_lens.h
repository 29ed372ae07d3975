/* routes_lens.h: the server's answers about what a model sees; the table in routes.c says what each is asked with. */
#ifndef ROUTES_LENS_H
#define ROUTES_LENS_H

#include "train/serve/server.h"

int answer_checkpoints(const struct request *q, struct reply *r);
int answer_lens(const struct request *q, struct reply *r);
int answer_attention(const struct request *q, struct reply *r);
int answer_gradient(const struct request *q, struct reply *r);
int answer_generate(const struct request *q, struct reply *r);

#endif
