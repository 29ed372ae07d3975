/* gradcheck_mistakes.c: the checker checked: each planted mistake takes the operation's place, and every method looks at it
 * through the same door as at the real one. */
#include "model/check/gradcheck.h"
#include "model/check/mistakes.h"

static int operation(struct gradcheck_caught *caught, const struct mistake *m, uint64_t seed)
{
    const struct gradcheck_subject s = {
        m->name, m->op, {plain_f32[m->op], plain_f64[m->op], plain_c128[m->op]}, m->faults};
    struct gradcheck g = {
        .methods = GRADCHECK_COMPLEX, .seed = seed, .first_only = true, .small_only = true};
    const int complex = gradcheck_op(&g, &s);
    g.methods = GRADCHECK_CENTRAL;
    const int central = gradcheck_op(&g, &s);
    g.methods = GRADCHECK_CONTRACT;
    const int contract = gradcheck_op(&g, &s), naive = gradcheck_naive(&s, seed);
    *caught = (struct gradcheck_caught){complex > 0, central > 0, contract > 0, naive > 0};
    return complex < 0 || central < 0 || contract < 0 || naive < 0 ? -1 : 0;
}

static int model(struct gradcheck_caught *caught, const struct mistake *m, uint64_t seed)
{
    struct gradcheck_model s = gradcheck_model_subject();
    s.name = m->name;
    s.code[NUMBER_F32].loss_and_grads = model_mistakes_f32[m->faults];
    s.code[NUMBER_F64].loss_and_grads = model_mistakes_f64[m->faults];
    struct gradcheck g = {
        .methods = GRADCHECK_COMPLEX, .seed = seed, .first_only = true, .small_only = true};
    const int complex = gradcheck_model(&g, &s);
    g.methods = GRADCHECK_CENTRAL;
    const int central = gradcheck_model(&g, &s);
    g.methods = GRADCHECK_CONTRACT;
    const int contract = gradcheck_model(&g, &s), naive = gradcheck_naive_model(&s, seed);
    *caught = (struct gradcheck_caught){complex > 0, central > 0, contract > 0, naive > 0};
    return complex < 0 || central < 0 || contract < 0 || naive < 0 ? -1 : 0;
}

int gradcheck_mistake(struct gradcheck_caught *caught, size_t mistake, uint64_t seed)
{
    const struct mistake *m = &mistakes[mistake];
    return (m->op == OPS ? model : operation)(caught, m, seed);
}
