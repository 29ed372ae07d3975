/* sample_attention.h: the attention weights of a run's last sample, for its report. */
#pragma once

#include <cjson/cJSON.h>

/* {"step", "n_layer", "n_head", "tokens": [{"shown"}, ...], "weights"}: for the first tokens of the
 * last sample, by the best checkpoint or the newest. "weights" is base64 of L H T T bytes, each
 * 255 sqrt(weight), and 0 only for a weight of 0. NULL if the run has no sample or no checkpoint,
 * or the model is too large for a page. */
cJSON *sample_attention(const char *run_dir);
