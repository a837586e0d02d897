/* test_bip.c: some steps of bi-level pruning, whole, against the same steps written out here: masks by sorting,
 * gradients of batches that are read on their own, one array for all weights.
 */
#include "../stand.h"

#include <assay/error.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOWER = 2, PART = 4, BATCH = (LOWER + 1) * PART, STEPS = 3, MOST = 200 };
static const double alpha = 0.3, ratio = 3, gamma_ = 0.02, mu = 0.5, decay = 0.01, sparsity = 0.6;

static struct stand stand_new(const char *rule, const char *batch)
{
    const char *const set[][2] = { { "data.source", "parity-vector" }, { "data.bits", "6" }, { "data.nonzero", "1..6" },
                                   { "model", "perceptron" }, { "depth", "1" }, { "width", "7" }, { "rule", rule },
                                   { "rule.sparsity", "0.6" }, { "rule.ratio", "3" }, { "rule.gamma", "0.02" },
                                   { "rule.momentum", "0.5" }, { "rule.steps", "2" }, { "train.lr", "0.3" },
                                   { "train.decay", "0.01" }, { "train.clip", "0" }, { "train.select", "last" },
                                   { "train.steps", "3" }, { "train.batch", batch } };
    struct stand s = { 0 };

    stand_set(&s, sizeof set / sizeof *set, set);
    stand_open(&s, 3);
    stand_train(&s);
    return s;
}

/* All weights in the order of the store. */
struct levels {
    ptrdiff_t n, matrices;
    double theta[MOST], s[MOST], v[MOST], u[MOST];
    int is_matrix[MOST], kept[MOST];
};

static const double *sorting;

static int by_score(const void *a, const void *b)
{
    int i = *(const int *)a, j = *(const int *)b;

    return sorting[i] > sorting[j] ? -1 : sorting[i] < sorting[j] ? 1 : i - j;
}

/* Masks, and z into the model. */
static void project(struct levels *l, struct as_model *m)
{
    int order[MOST], n = 0;
    ptrdiff_t keep = l->matrices - (ptrdiff_t)llround(sparsity * (double)l->matrices);

    for (int i = 0; i < l->n; i++)
        if (l->is_matrix[i])
            order[n++] = i;
    sorting = l->s;
    qsort(order, (size_t)n, sizeof *order, by_score);
    for (int i = 0; i < n; i++)
        l->kept[order[i]] = i < keep;
    for (int i = 0; i < l->n; i++)
        as_model_store(m).w[i] = l->kept[i] ? (real)l->theta[i] : 0;
}

static struct levels levels_new(struct as_model *m)
{
    struct as_weights w = as_model_store(m);
    struct levels l = { .n = w.n };

    assert_true(w.n <= MOST);
    for (int k = 0; k < 2; k++) {
        struct as_named_weight W = as_model_weight(m, k ? "W_1" : "W_0");

        for (ptrdiff_t i = 0; i < W.dim[0] * W.dim[1]; i++)
            l.is_matrix[W.w - w.w + i] = 1;
        l.matrices += W.dim[0] * W.dim[1];
    }
    for (ptrdiff_t i = 0; i < l.n; i++) {
        l.theta[i] = (double)w.w[i];
        l.s[i] = fmin(fabs(l.theta[i]), 1);
        l.kept[i] = 1;
    }
    return l;
}

/* The gradient at what the model holds, of PART examples from number `first` on. */
static const real *slope_at(struct stand *s, struct as_arena *a, uint64_t first)
{
    struct as_pass pass = { .model = s->model, .trainer = s->trainer,
                            .batch = as_batch_fill(s->data, a, AS_TRAIN, first, PART, NULL) };
    struct as_weights w = as_model_store(s->model);

    memset(w.dw, 0, (size_t)w.n * sizeof *w.dw);
    as_pass_backprop(&pass);
    return w.dw;
}

static void lower(struct levels *l, const real *g)
{
    for (ptrdiff_t i = 0; i < l->n; i++) {
        l->v[i] = mu * l->v[i] + l->kept[i] * (double)g[i] + (l->is_matrix[i] ? decay : 0) * l->theta[i];
        l->theta[i] -= alpha * l->v[i];
    }
}

static void upper(struct levels *l, const real *g)
{
    for (ptrdiff_t i = 0; i < l->n; i++) {
        double slope = (l->theta[i] - l->kept[i] * (double)g[i] / gamma_) * (double)g[i];

        l->u[i] = mu * l->u[i] + slope;
        l->s[i] = fmin(fmax(l->s[i] - ratio * alpha * l->u[i], 0), 1);
    }
}

static void steps_are_the_equations(void **state)
{
    struct stand bip = stand_new("bip", "12"), hand = stand_new("sgd", "4");
    struct as_weights a = as_model_store(bip.model), b = as_model_store(hand.model);
    struct levels l = levels_new(hand.model);
    struct as_arena *arena = as_arena_new();
    int moved = 0, first[MOST];

    (void)state;
    assert_true(as_trainer_run(bip.trainer, NULL, NULL));
    project(&l, hand.model);
    memcpy(first, l.kept, sizeof first);
    for (uint64_t s = 0; s < STEPS; s++) {
        for (uint64_t k = 0; k < LOWER; k++) {
            lower(&l, slope_at(&hand, arena, s * BATCH + k * PART));
            for (int i = 0; i < l.n; i++)
                b.w[i] = l.kept[i] ? (real)l.theta[i] : 0;
        }
        upper(&l, slope_at(&hand, arena, s * BATCH + LOWER * PART));
        project(&l, hand.model);
    }
    for (ptrdiff_t i = 0; i < l.n; i++) {
        assert_true(fabs((double)a.w[i] - (double)b.w[i]) <= 256 * (double)AS_REAL_EPSILON);
        moved += l.kept[i] != first[i];
    }
    assert_true(moved > 0);                              /* else the upper level was not seen */
    as_arena_free(arena);
    stand_free(&bip);
    stand_free(&hand);
}

static void as_many_are_cut_as_was_asked(void **state)
{
    struct stand s = stand_new("bip", "12");
    struct as_named_weight W0 = as_model_weight(s.model, "W_0"), W1 = as_model_weight(s.model, "W_1");
    ptrdiff_t n0 = W0.dim[0] * W0.dim[1], n1 = W1.dim[0] * W1.dim[1], kept = 0;

    (void)state;
    assert_true(as_trainer_run(s.trainer, NULL, NULL));
    for (ptrdiff_t i = 0; i < n0 + n1; i++)
        kept += (i < n0 ? W0.w[i] : W1.w[i - n0]) != R(0.0);
    assert_int_equal(kept, n0 + n1 - (ptrdiff_t)llround(sparsity * (double)(n0 + n1)));
    stand_free(&s);
}

static void run(void *ctx) { as_trainer_run(((struct stand *)ctx)->trainer, NULL, NULL); }

static void a_batch_that_cannot_be_cut_is_refused(void **state)
{
    struct stand s = stand_new("bip", "2");

    (void)state;
    assert_int_equal(as_try(run, &s), AS_REFUSED);
    assert_non_null(strstr(as_failure_text(), "train.batch is 2"));
    stand_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_the_equations),
        cmocka_unit_test(as_many_are_cut_as_was_asked),
        cmocka_unit_test(a_batch_that_cannot_be_cut_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
