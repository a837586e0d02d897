/* test_rows.c: a batch that goes through the model by groups of rows gives the loss and the gradient of the whole one,
 * the same bits at any team, in less memory; and what wants a whole batch gets it. */
#include "../stand.h"

#include <assay/error.h>
#include <assay/parallel.h>
#include <math.h>
#include <stdio.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 17 };

static struct stand prepared(const char *mixer, const char *model, const char *pieces, const char *rows,
                             const char *length)
{
    const char *const set[][2] = { { "data.source", "recall" }, { "data.pairs", "1..5" }, { "data.length", length },
                                   { "data.vocabulary", "16" }, { "model", model }, { "block", "prenorm" },
                                   { "ffn", "mlp" }, { "mixer", mixer }, { "width", "8" }, { "depth", "2" },
                                   { "train.batch", "17" }, { "train.select", "last" }, { "train.rows", rows },
                                   { "objective.pieces", pieces },
                                   { "read", strcmp(model, "lm") == 0 ? NULL : "last" } };
    struct stand s = { 0 };

    stand_set(&s, sizeof set / sizeof *set, set);
    stand_open(&s, 3);
    return s;
}

static struct stand stand_of(const char *mixer, const char *model, const char *pieces, const char *rows,
                             const char *length)
{
    struct stand s = prepared(mixer, model, pieces, rows, length);

    stand_train(&s);
    stand_read(&s, AS_TRAIN, BATCH);
    return s;
}

/* Sequences of 4 to 20 steps. */
static struct stand stand_new(const char *mixer, const char *model, const char *pieces, const char *rows)
{
    return stand_of(mixer, model, pieces, rows, "0");
}

static void backprop(struct stand *s)
{
    struct as_weights w = as_model_store(s->model);

    memset(w.dw, 0, (size_t)w.n * sizeof *w.dw);
    as_pass_backprop(&s->pass);
}

static double relative(const struct stand *a, const struct stand *b)
{
    struct as_weights v = as_model_store(a->model), w = as_model_store(b->model);
    double off = 0, size = 0;

    assert_int_equal(v.n, w.n);
    for (ptrdiff_t i = 0; i < w.n; i++) {
        off += ((double)v.dw[i] - (double)w.dw[i]) * ((double)v.dw[i] - (double)w.dw[i]);
        size += (double)w.dw[i] * (double)w.dw[i];
    }
    return sqrt(off / size);
}

/* Groups of 1, 3, 16 and what is chosen, sorted by length or all of one; the first four rows have no targets, so that a
 * group has none. */
static void groups_give_the_gradient(void **state)
{
    static const char *const mixer[] = { "linear", "gru", "softmax", "mingru" }, *const length[] = { "0", "20" };
    static const char *const rows[] = { "1", "3", "16", NULL };
    double slack = 64 * (double)AS_REAL_EPSILON;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof mixer / sizeof *mixer; i++)
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
            struct stand whole = stand_of(mixer[i / 2], "lm", NULL, "17", length[i % 2]);
            struct stand group = stand_of(mixer[i / 2], "lm", NULL, rows[j], length[i % 2]);

            memset(whole.batch->i[1], 0xff, (size_t)(4 * whole.batch->time) * sizeof(int32_t));
            memset(group.batch->i[1], 0xff, (size_t)(4 * group.batch->time) * sizeof(int32_t));
            backprop(&whole);
            backprop(&group);
            assert_true(fabs(group.pass.loss - whole.pass.loss) <= slack * whole.pass.loss);
            assert_true(relative(&group, &whole) <= slack);
            if (!rows[j] && i % 2)                       /* it fits as it is, and there is nothing to cut */
                assert_true(relative(&group, &whole) <= 0 && group.pass.bytes == whole.pass.bytes);
            else {
                assert_true(relative(&group, &whole) > 0);         /* another order of sums: groups there were */
                assert_true(j == 2 || group.pass.bytes < whole.pass.bytes);
            }
            stand_free(&whole);
            stand_free(&group);
        }
}

static void same_bits_at_any_team(void **state)
{
    struct stand one = stand_new("linear", "lm", NULL, "2"), s = stand_new("linear", "lm", NULL, "2");
    struct as_weights a = as_model_store(one.model), b = as_model_store(s.model);

    (void)state;
    backprop(&one);
    for (int team = 2; team <= 4; team++) {
        as_threads_set(team);
        backprop(&s);
        assert_memory_equal(a.dw, b.dw, (size_t)a.n * sizeof *a.dw);
        assert_true(one.pass.loss == s.pass.loss && one.pass.bytes == s.pass.bytes);
    }
    as_threads_set(1);
    stand_free(&one);
    stand_free(&s);
}

/* Each example by itself, and all in batches that are sorted by length and cut. */
static void evaluation_knows_its_rows(void **state)
{
    enum { EXAMPLES = 50 };
    struct stand s = stand_new("softmax", "lm", NULL, NULL);
    const struct as_metric *ce = as_metric_find("ce", NULL);
    float one[EXAMPLES], all[EXAMPLES];
    double slack = 64 * (double)AS_REAL_EPSILON + 1e-6;

    (void)state;
    assert_true(fabs(as_evaluate(s.model, s.data, AS_VALID, EXAMPLES, 1, ce, one).value -
                     as_evaluate(s.model, s.data, AS_VALID, EXAMPLES, 32, ce, all).value) <= slack);
    for (int i = 0; i < EXAMPLES; i++) {
        assert_true(fabs((double)one[i] - (double)all[i]) <= slack * 10);
        assert_true(fabs((double)one[i] - (double)one[(i + 1) % EXAMPLES]) > slack * 10);
    }
    stand_free(&s);
}

static void train(void *ctx) { (void)as_trainer_run(ctx, NULL, NULL); }
static void take_up(void *ctx) { stand_train(ctx); }

/* The lanes' models learn with the first one's weights, and their failures are told like any. */
static void lanes_share_weights_and_fail_aloud(void **state)
{
    struct stand refused = prepared("linear", "lm", "2", "3", "0");
    struct stand s = stand_new("linear", "lm", NULL, "3"), wrong = stand_new("linear", "classifier", NULL, "3");
    struct stand one = stand_new("linear", "lm", NULL, "1"), whole = stand_new("linear", "classifier", NULL, "17");
    enum as_failure failed;
    char why[512];

    (void)state;
    as_model_store(s.model).w[0] += R(0.25);
    as_model_store(one.model).w[0] += R(0.25);
    backprop(&s);
    backprop(&one);
    assert_true(relative(&s, &one) <= 64 * (double)AS_REAL_EPSILON);
    failed = as_try(train, whole.trainer);
    snprintf(why, sizeof why, "%s", as_failure_text());
    assert_int_not_equal(failed, AS_OK);
    assert_int_equal(as_try(train, wrong.trainer), failed);
    print_message("%s; by groups: %s\n", why, as_failure_text());
    assert_true(strcspn(why, "0123456789") > 4 && strncmp(why, as_failure_text(), strcspn(why, "0123456789")) == 0);
    assert_int_equal(as_try(take_up, &refused), AS_REFUSED);
    assert_non_null(strstr(as_failure_text(), "train.rows = 3: objective.pieces"));
    stand_free(&s);
    stand_free(&one);
    stand_free(&wrong);
    stand_free(&whole);
    stand_free(&refused);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(groups_give_the_gradient),
                                        cmocka_unit_test(same_bits_at_any_team),
                                        cmocka_unit_test(evaluation_knows_its_rows),
                                        cmocka_unit_test(lanes_share_weights_and_fail_aloud) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
