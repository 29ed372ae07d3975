/* mistake_check.c: tests the checker: each planted mistake replaces the operation, and every
 * method runs as it does on the correct one. */
#include "model/check/gradcheck.h"

static int run_op(const struct gradcheck *g, const void *subject)
{
    return gradcheck_op(g, subject);
}

static int run_model(const struct gradcheck *g, const void *subject)
{
    return gradcheck_model(g, subject);
}

/* Runs each method alone. naive is the result of the naive check. */
static int run_methods(struct gradcheck_caught *caught,
                       int (*run)(const struct gradcheck *, const void *), const void *subject,
                       int naive, uint64_t seed)
{
    static const unsigned methods[] = {GRADCHECK_COMPLEX, GRADCHECK_CENTRAL, GRADCHECK_CONTRACT};
    bool broken = naive < 0;
    for (size_t i = 0; i < CAUGHT_NAIVE; i++) {
        const struct gradcheck g = {
            .methods = methods[i], .seed = seed, .first_only = true, .small_only = true};
        const int failures = run(&g, subject);
        caught->by[i] = failures > 0;
        broken |= failures < 0;
    }
    caught->by[CAUGHT_NAIVE] = naive > 0;
    return broken ? -1 : 0;
}

int gradcheck_mistake(struct gradcheck_caught *caught, const struct mistake *m, uint64_t seed)
{
    const struct gradcheck_subject s = gradcheck_mistaken(m);
    return run_methods(caught, run_op, &s, gradcheck_naive(&s, seed), seed);
}

int gradcheck_model_mistake(struct gradcheck_caught *caught, size_t mistake, uint64_t seed)
{
    struct gradcheck_model s = gradcheck_model_subject();
    s.name = model_mistakes_f64[mistake].name;
    s.code[NUMBER_F32].loss_and_grads = model_mistakes_f32[mistake].loss_and_grads;
    s.code[NUMBER_F64].loss_and_grads = model_mistakes_f64[mistake].loss_and_grads;
    return run_methods(caught, run_model, &s, gradcheck_naive_model(&s, seed), seed);
}
