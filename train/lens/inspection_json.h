/* inspection_json.h: an inspection as JSON. Numbers that are not finite are null. A token is {"id",
 * "text", "shown"}: in "text" bytes that are not UTF-8, and zeros, are replaced by U+FFFD; in
 * "shown" they are spelled out, like spaces and control characters (printable.h). */
#pragma once

#include "train/lens/inspection.h"
#include <cjson/cJSON.h>

/* {"step", "n_layer", "n_head", "n_embd", "block_size", "tokens": [token, …], "depths": [{"after":
 * "embedding" or "h.0" …, "loss", "positions": [{"loss", "top": [token with "p", … k]}, …]}, …]}.
 * Losses are null at the last position. Returns NULL after an error. */
cJSON *inspection_json(struct inspection *in, size_t k, struct error *err);

/* {"layer", "head", "weights": [[…], …]}: rows are queries. Call inspection_attention(in, layer)
 * first. */
cJSON *inspection_json_attention(const struct inspection *in, size_t layer, size_t head);

/* {"position", "loss", "norms": […]} of the gradient of one loss and, if requested, "vectors":
 * [[…], …]. */
cJSON *inspection_json_gradient(struct inspection *in, size_t position, bool vectors);
