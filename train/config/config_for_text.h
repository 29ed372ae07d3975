/* config_for_text.h: chooses a configuration for a text and a machine. */
#pragma once

#include "train/config/config.h"

/* Sets the model and its training for a text of `tokens` training tokens of a tokenizer with
 * vocab_size symbols and for `flops` floating-point operations: of a ladder of shapes, the one for
 * which a scaling law predicts the lowest loss, trained for as many steps as that allows (but for
 * at most 30 epochs), or for `steps` if it is not 0. Returns the number of operations that it
 * takes. The law is that of Hoffmann et al. (2022, arXiv:2203.15556), for repeated data that of
 * Muennighoff et al. (2023, arXiv:2305.16264). Other keys keep their defaults. */
double config_for_text(struct config *c, uint64_t tokens, size_t vocab_size, double flops,
                       uint64_t steps);

/* How often that training reads the text. */
double config_epochs(const struct config *c, uint64_t tokens);
