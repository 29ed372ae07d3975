/* passes.c: see passes.h. Compiled for float and for bf16. */
#include "train/passes.h"
#include "model/causal_probe.h"
#include "model/real.h"

const struct passes NAME(passes) = {gpt_loss, gpt_loss_and_grads, gpt_causal_probe};
