/* test_not_finite.c: a loss or gradient that is not finite, or a loss spike, changes nothing: the
 * step is skipped, or the run is rolled back. */
#include "tests/trainer_fixture.h"
#include <math.h>

/* Writes a number into an array of the pass, in one micro-batch of each step from `first` to
 * `last`. */
struct plant {
    struct gpt_hook hook;
    const struct trainer *trainer;
    uint64_t first, last; /* as trainer->state.step during the step */
    uint64_t micro;       /* the micro-batch */
    uint64_t batch;       /* if not 0: only with the batches of this step */
    enum gpt_stage stage;
    size_t layer;
    real *(*array)(struct gpt *g, size_t layer);
    real value;
};

static void plant(struct gpt_hook *hook, struct gpt *g, enum gpt_stage stage, size_t layer)
{
    const struct plant *p = (const struct plant *)hook;
    const struct train_state *s = &p->trainer->state;
    const uint64_t batch = s->step + s->batch_shift;
    if (stage == p->stage && layer == p->layer && s->step >= p->first && s->step <= p->last &&
        s->micro == p->micro && (!p->batch || batch == p->batch))
        p->array(g, layer)[7] = p->value;
}

static real *block_output(struct gpt *g, size_t layer)
{
    return g->blocks[layer].out;
}

static real *attention_scores(struct gpt *g, size_t layer) /* read again by the backward only */
{
    return g->blocks[layer].qkv;
}

static real *final_layernorm(struct gpt *g, size_t layer)
{
    (void)layer;
    return g->ln_f;
}

static real *gelu_gradient(struct gpt *g, size_t layer)
{
    return g->dw[layer][C_FC_WEIGHT];
}

struct arrays {
    size_t bytes;
    real *params, *m, *v;
};

static struct arrays copy_arrays(const struct trainer *t)
{
    struct arrays a = {.bytes = t->model.tensors->total * sizeof(real)};
    a.params = malloc(a.bytes);
    a.m = malloc(a.bytes);
    a.v = malloc(a.bytes);
    memcpy(a.params, t->model.params, a.bytes);
    memcpy(a.m, t->m, a.bytes);
    memcpy(a.v, t->v, a.bytes);
    return a;
}

static void ck_unchanged(const struct trainer *t, const struct arrays *a)
{
    ck_assert_mem_eq(a->params, t->model.params, a->bytes);
    ck_assert_mem_eq(a->m, t->m, a->bytes);
    ck_assert_mem_eq(a->v, t->v, a->bytes);
}

static void free_arrays(struct arrays *a)
{
    free(a->params);
    free(a->m);
    free(a->v);
}

/* At any step, micro-batch and tensor: weights and moments do not change, and the message names the
 * first tensor. */
START_TEST(non_finite_numbers_change_nothing)
{
    static const struct {
        enum gpt_stage stage;
        size_t layer;
        real *(*array)(struct gpt *g, size_t layer);
        real value;
        const char *what, *first;
    } cases[] = {
        {STAGE_BLOCK, 0, block_output, NAN, "loss",
         "forward, h.0.mlp.c_proj (linear_forward, residual_forward): nan at row 0"},
        {STAGE_BLOCK, 1, block_output, INFINITY, "loss",
         "forward, h.1.mlp.c_proj (linear_forward, residual_forward): inf"},
        {STAGE_BLOCK, 1, attention_scores, NAN, "grad_norm",
         "forward, h.1.attn.c_attn (linear_forward): nan at row 0, column 7"},
        {STAGE_LN_F, 0, final_layernorm, NAN, "loss",
         "forward, ln_f (layernorm_forward): nan at row 0, column 7"},
        {STAGE_BLOCK_BACKWARD, 0, gelu_gradient, -INFINITY, "grad_norm",
         "backward, gradient of h.0.mlp.c_fc.weight (linear_backward): -inf at row 0, column 7"},
    };
    make_data(STREAM);
    const struct config c = small();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct trainer t;
        const uint64_t step = i % 3, micro = i % ACCUMULATE;
        t = begin(&c);
        advance(&t, ACCUMULATE * step);
        struct plant p = {
            {plant},       &t, step, step, micro, 0, cases[i].stage, cases[i].layer, cases[i].array,
            cases[i].value};
        t.model.hook = &p.hook;
        struct arrays before = copy_arrays(&t);
        while (t.state.step == step)
            OK(trainer_micro_step(&t, &err));
        ck_unchanged(&t, &before);
        free_arrays(&before);
        ck_assert_str_eq(t.metrics.skipped, cases[i].what);
        ck_assert_uint_eq(t.state.skipped, 1);
        ck_assert_uint_eq(t.state.updates, step);
        ck_assert_msg(strstr(t.fault, cases[i].first) &&
                          !strncmp(t.fault, cases[i].what, strlen(cases[i].what)),
                      "%s", t.fault);
        char batch[32];
        snprintf(batch, sizeof batch, "in micro-batch %d", (int)micro + 1);
        ck_assert_msg(strstr(t.fault, batch), "%s", t.fault);
        advance(&t, ACCUMULATE); /* training continues */
        ck_assert_ptr_null(t.metrics.skipped);
        ck_assert(isfinite(t.metrics.loss) && t.state.skipped_in_row == 0);
        trainer_destroy(&t);
    }
}
END_TEST

/* A gradient whose square does not fit in a float would make the second moment infinite, although
 * its norm is finite. With clipping, it does no harm. */
START_TEST(overflowing_squares_are_skipped)
{
    make_data(STREAM);
    for (int clips = 0; clips < 2; clips++) {
        struct config c = small();
        struct trainer t;
        c.optim.clip = clips;
        t = begin(&c);
        advance(&t, ACCUMULATE);
        struct plant p = {{plant}, &t, 1, 1, 0, 0, STAGE_BLOCK_BACKWARD, 0, gelu_gradient, 1e25f};
        t.model.hook = &p.hook;
        struct arrays before = copy_arrays(&t);
        advance(&t, ACCUMULATE);
        ck_assert_uint_eq(t.state.step, 2);
        ck_assert_uint_eq(t.state.skipped, !clips);
        if (!clips) {
            ck_unchanged(&t, &before);
            ck_assert_str_eq(t.fault, "grad_norm is 1e+25: its square does not fit in a float");
        }
        for (size_t i = 0; i < t.model.tensors->total; i++)
            ck_assert(isfinite(t.v[i]) && isfinite(t.model.params[i]));
        free_arrays(&before);
        trainer_destroy(&t);
    }
}
END_TEST

/* The message names the weight that is not finite rather than what is computed from it. */
START_TEST(a_non_finite_weight_is_named)
{
    make_data(STREAM);
    const struct config c = small();
    struct trainer t = begin(&c);
    t.model.w[1][MLP_C_PROJ_WEIGHT][5] = NAN;
    OK(trainer_micro_step(&t, &err));
    ck_assert_msg(
        strstr(t.fault,
               "before the pass, h.1.mlp.c_proj.weight (parameter): nan at row 0, column 5"),
        "%s", t.fault);
    trainer_destroy(&t);
}
END_TEST

/* Runs for `steps` steps with planted numbers; stops and resumes before micro-step `stop`. */
static void run_with(struct trainer *t, const struct config *c, struct plant p, uint64_t steps,
                     size_t stop, size_t *micro_steps)
{
    const char *const path = in_folder("with.h5");
    OK(trainer_create(t, c, &err));
    OK(trainer_start(t, &err));
    p.trainer = t;
    t->model.hook = &p.hook;
    for (*micro_steps = 0; t->state.step < steps; ++*micro_steps) {
        if (*micro_steps == stop) {
            OK(trainer_save(t, path, &err));
            trainer_destroy(t);
            OK(trainer_create(t, c, &err));
            OK(trainer_resume(t, path, &nothing, &err));
            OK(trainer_start(t, &err));
            t->model.hook = &p.hook;
        }
        OK(trainer_micro_step(t, &err));
    }
    t->model.hook = NULL;
}

static void assert_same_state(const struct trainer *a, const struct trainer *b)
{
    assert_same(a, b);
    ck_assert_mem_eq(&a->state, &b->state, sizeof a->state);
}

/* A run with skipped steps resumes bit for bit from any micro-step. */
START_TEST(resume_with_skipped_steps)
{
    make_data(STREAM);
    struct config c = small();
    c.train.steps = 5;
    struct plant p = {{plant}, NULL, 1, 3, 1, 0, STAGE_BLOCK, 0, block_output, NAN};
    struct trainer whole, stopped;
    size_t micro_steps, ignored;
    run_with(&whole, &c, p, 5, SIZE_MAX, &micro_steps);
    ck_assert_uint_eq(whole.state.skipped, 3);
    ck_assert_uint_eq(whole.state.updates, 2);
    for (size_t stop = 0; stop < micro_steps; stop++) {
        run_with(&stopped, &c, p, 5, stop, &ignored);
        assert_same_state(&whole, &stopped);
        trainer_destroy(&stopped);
    }
    trainer_destroy(&whole);
}
END_TEST

/* After a rollback the weights are those of the checkpoint, and the batches read since are
 * skipped. */
START_TEST(rollback_skips_batches)
{
    make_data(STREAM);
    struct config c = small();
    c.train.max_skipped = 2;
    c.train.steps = 20;
    struct trainer t, other;
    const char *const path = in_folder("back.h5");
    t = begin(&c);
    advance(&t, ACCUMULATE);
    OK(trainer_save(&t, path, &err));
    struct arrays saved = copy_arrays(&t);
    advance(&t, ACCUMULATE);
    struct plant p = {{plant}, &t, 2, 3, 0, 0, STAGE_BLOCK, 1, block_output, NAN};
    t.model.hook = &p.hook;
    OK(trainer_micro_step(&t, &err));
    ck_assert(!trainer_must_roll_back(&t));
    OK(trainer_micro_step(&t, &err));
    ck_assert(trainer_must_roll_back(&t));
    t.model.hook = NULL;
    OK(trainer_roll_back(&t, path, &err));
    ck_unchanged(&t, &saved);
    free_arrays(&saved);
    ck_assert_uint_eq(t.state.step, 1);
    ck_assert_uint_eq(t.state.batch_shift, 3);
    ck_assert_uint_eq(t.state.skipped, 2);
    ck_assert_uint_eq(t.state.rollbacks, 1);
    const char *const after = in_folder("after.h5");
    OK(trainer_save(&t, after, &err));
    advance(&t, 3 * ACCUMULATE);
    ck_assert_uint_eq(t.state.step, 4);
    OK(trainer_create(&other, &c, &err)); /* batch_shift is part of the state */
    OK(trainer_resume(&other, after, &nothing, &err));
    OK(trainer_start(&other, &err));
    advance(&other, 3 * ACCUMULATE);
    assert_same_state(&t, &other);
    const double loss = t.metrics.loss;
    trainer_destroy(&other);
    OK(trainer_create(&other, &c, &err)); /* without it, the run differs */
    OK(trainer_resume(&other, after, &nothing, &err));
    other.state.batch_shift = 0;
    OK(trainer_start(&other, &err));
    advance(&other, 3 * ACCUMULATE);
    ck_assert(other.metrics.loss != loss);
    trainer_destroy(&other);
    strcpy(t.fault, "loss is nan");
    ck_assert_int_eq(trainer_roll_back(&t, path, &err), -1); /* only once per checkpoint */
    ck_assert_msg(strstr(err.text, "step 4: loss is nan, again after rolling back to"), "%s",
                  err.text);
    OK(trainer_roll_back(&t, after, &err));
    trainer_destroy(&t);
}
END_TEST

/* A checkpoint may be saved in the middle of a step (SIGUSR1). The batches that follow a rollback
 * are not those of that step: it begins anew, as from the checkpoint before its first batch. */
START_TEST(rollback_into_a_step_begins_it_anew)
{
    make_data(STREAM);
    struct config c = small();
    c.train.steps = 20;
    struct trainer t[2];
    for (size_t micro = 0; micro < 2; micro++) {
        const char *const path = in_folder("back.h5");
        t[micro] = begin(&c);
        advance(&t[micro], ACCUMULATE + micro);
        OK(trainer_save(&t[micro], path, &err));
        advance(&t[micro], 2 * ACCUMULATE - micro);
        OK(trainer_roll_back(&t[micro], path, &err));
        ck_assert_uint_eq(t[micro].state.micro, 0);
        advance(&t[micro], 2 * ACCUMULATE);
        ck_assert_uint_eq(t[micro].state.step, 3);
    }
    assert_same_state(&t[0], &t[1]);
    trainer_destroy(&t[0]);
    trainer_destroy(&t[1]);
}
END_TEST

/* After two rollbacks, training is at the batches after all that were tried, and counts both. */
START_TEST(two_rollbacks_in_one_run)
{
    make_data(STREAM);
    struct config c = small();
    c.train.steps = 40;
    c.train.accumulate = 1;
    c.train.max_skipped = 2;
    struct trainer t = begin(&c);
    const char *const path = in_folder("ckpt.h5");
    for (uint64_t round = 1; round <= 2; round++) {
        advance(&t, 3);
        OK(trainer_save(&t, path, &err));
        const uint64_t saved = t.state.step, shift = t.state.batch_shift;
        struct plant p = {{plant}, &t, 0, UINT64_MAX, 0, 0, STAGE_BLOCK, 0, block_output, NAN};
        t.model.hook = &p.hook;
        advance(&t, 1);
        ck_assert_uint_eq(t.state.skipped_in_row, 1);
        t.model.hook = NULL;
        advance(&t, 1);
        ck_assert_uint_eq(t.state.skipped_in_row, 0); /* an update in between */
        t.model.hook = &p.hook;
        advance(&t, 2);
        ck_assert(trainer_must_roll_back(&t));
        const uint64_t batch = t.state.step + t.state.batch_shift;
        OK(trainer_roll_back(&t, path, &err));
        t.model.hook = NULL;
        ck_assert_uint_eq(t.state.step, saved);
        ck_assert_uint_eq(t.state.rollbacks, round);
        ck_assert_uint_eq(t.state.step + t.state.batch_shift, batch);
        ck_assert_uint_eq(t.state.batch_shift, shift + 4);
        ck_assert_uint_eq(t.state.skipped, 3 * round);
    }
    trainer_destroy(&t);
}
END_TEST

/* Raises the loss of one batch far above the others. */
static real *losses_of(struct gpt *g, size_t layer)
{
    (void)layer;
    return g->losses;
}

START_TEST(spikes)
{
    make_data(STREAM);
    struct config c = small();
    c.train.steps = 40;
    c.train.accumulate = 1;
    for (int on_spike = ON_SPIKE_NONE; on_spike <= ON_SPIKE_ROLLBACK; on_spike++) {
        struct trainer t;
        c.train.on_spike = on_spike;
        t = begin(&c);
        advance(&t, LOSS_WINDOW_MIN + 4);
        ck_assert_uint_eq(t.state.spikes, 0);
        struct plant p = {{plant},    &t, t.state.step, t.state.step, 0, 0,
                          STAGE_LOSS, 0,  losses_of,    1e4};
        t.model.hook = &p.hook;
        struct arrays before = copy_arrays(&t);
        OK(trainer_micro_step(&t, &err));
        ck_assert_int_eq(trainer_must_roll_back(&t), on_spike == ON_SPIKE_ROLLBACK);
        if (on_spike == ON_SPIKE_NONE) {
            ck_assert_ptr_null(t.metrics.skipped);
            ck_assert_int_ne(memcmp(before.params, t.model.params, before.bytes), 0);
            memcpy(before.params, t.model.params, before.bytes);
            memcpy(before.m, t.m, before.bytes);
            memcpy(before.v, t.v, before.bytes);
        } else {
            ck_assert_str_eq(t.metrics.skipped, "spike");
            ck_assert_msg(strstr(t.fault, "is a spike"), "%s", t.fault);
            ck_assert_uint_eq(t.state.spikes, 1);
        }
        ck_unchanged(&t, &before);
        free_arrays(&before);
        trainer_destroy(&t);
    }
}
END_TEST

SUITE("train/not finite", non_finite_numbers_change_nothing, overflowing_squares_are_skipped,
      a_non_finite_weight_is_named, resume_with_skipped_steps, rollback_skips_batches,
      rollback_into_a_step_begins_it_anew, two_rollbacks_in_one_run, spikes)
