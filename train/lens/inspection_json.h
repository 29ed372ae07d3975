/* inspection_json.h: what a reading shows, as JSON. Numbers that are none are null; the bytes of a token that are no UTF-8 are
 * replaced in "text" and written out in "shown" (visible.h). */
#ifndef INSPECTION_JSON_H
#define INSPECTION_JSON_H

#include "train/lens/inspection.h"
#include <stdio.h>

/* {"step", "n_layer", "n_head", "n_embd", "block_size", "tokens": [{"id", "text", "shown"}, …],
 *  "depths": [{"after": "embedding" or "h.0" …, "loss", "positions": [{"loss", "top": [{"id", "text", "shown", "p"}, … k]}, …]}, …]}
 * without its last brace, so that members can follow. Losses are null at the last position. -1 where memory is short. */
int inspection_json_begin(FILE *f, struct inspection *r, size_t k, struct error *err);

/* {"layer", "head", "weights": [[…], …]}: rows are queries. inspection_attention(r, layer) comes before. */
void inspection_json_attention(FILE *f, const struct inspection *r, size_t layer, size_t head);

/* {"position", "loss", "norms": […]} and, where wanted, "vectors": [[…], …]: the gradient of one loss. */
void inspection_json_gradient(FILE *f, struct inspection *r, size_t position, bool vectors);

/* The name of a depth: what the model's first `depth` parts end with. */
const char *inspection_depth_name(char name[32], size_t depth);
/* The mean loss over the positions that have one; NAN where none has. */
double inspection_mean_loss(const float *losses, size_t T);

#endif
