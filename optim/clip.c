/* clip.c: see clip.h. */
#include "optim/clip.h"
#include "model/real.h"
#include "optim/norms.h"

double gradient_norm(const real *grads, const struct tensors *tensors)
{
    double total = 0;
    for (size_t k = 0; k < tensors->count; k++)
        total += tensor_squares(grads, &tensors->list[k]);
    return sqrt(total);
}
