/* planted.c: a shared object with planted mistakes, for the tests of --diagnose. It is linked
 * with the generated versions of the operations (mistaken_NAME.c), under the names that
 * handgrad looks for. HANDGRAD_PLANTED says which mistakes to make: the operation, then
 * MISTAKE:PLACE for each, as numbers (mistakes.h). HANDGRAD_MISCHIEF makes layernorm_backward
 * misbehave in other ways. */
#include "model/check/mistakes.h"
#include "model/layernorm.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLANTED_MAX = 4 };
static struct planted planted[PLANTED_MAX];

__attribute__((constructor)) static void plant(void)
{
    const char *text = getenv("HANDGRAD_PLANTED");
    unsigned op;
    size_t count = 0, mistake;
    int n, place;
    if (!text || sscanf(text, "%u%n", &op, &n) != 1)
        return;
    for (text += n; count < PLANTED_MAX && sscanf(text, "%zu:%d%n", &mistake, &place, &n) == 2;
         text += n)
        planted[count++] = (struct planted){&mistakes[mistake], place};
    mistakes_plant((enum op)op, planted, count);
}

static bool mischief(const char *name)
{
    const char *asked = getenv("HANDGRAD_MISCHIEF");
    return asked && !strcmp(asked, name);
}

#undef layernorm_backward
typeof(layernorm_backward_f64) mistaken_layernorm_backward_f64;

void layernorm_backward(real *dx, real *dgain, real *dbias, const real *dy, const real *x,
                        const real *mean, const real *rstd, const real *gain, size_t N, size_t C)
{
    mistaken_layernorm_backward_f64(dx, dgain, dbias, dy, x, mean, rstd, gain, N, C);
    if (mischief("unknown") && N > 1 && C > 4)
        dx[C + 3] *= 1.001;
    if (mischief("overrun"))
        dgain[C] = 1;
    if (mischief("scribble"))
        ((real *)x)[0] = 0;
    if (mischief("crash"))
        raise(SIGSEGV);
    if (mischief("exit"))
        exit(0);
    for (volatile int on = mischief("loop"); on;)
        ;
}

/* op_dim needs it; no case here is large enough for more than one chunk. */
size_t loss_chunk_f64(size_t N, size_t padded);
size_t loss_chunk_f64(size_t N, size_t padded)
{
    (void)padded;
    return N;
}
