/* clip.c: see clip.h. */
#include "clip.h"
#include "norms.h"

double gradient_norm(const real *grads, const struct tensors *tensors)
{
    double total = 0;
    for (size_t k = 0; k < tensors->count; k++)
        total += tensor_squares(grads, &tensors->list[k]);
    return sqrt(total);
}
