/* A model that answers at every step: the objective that judges all answers, the same weights run for more steps, and
 * the metric that wants all of an example right. */
#include "stand.h"

#include <assay/error.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Sudoku of 4 x 4 cells; n further pairs. */
static void stand_up(struct stand *s, size_t n, const char *const (*pair)[2])
{
    static const char *const set[][2] = { { "data.source", "sudoku" }, { "data.size", "4" }, { "model", "relational" },
                                          { "width", "12" }, { "layers", "1" }, { "train.select", "last" },
                                          { "train.lr", "1e-2" }, { "train.batch", "16" } };
    stand_set(s, sizeof set / sizeof *set, set);
    stand_set(s, n, pair);
    stand_open(s, 3);
    stand_train(s);
}

/* The loss of one training batch. */
struct asked { struct stand stand; const char *steps, *objective; };

static void ask_loss(void *ctx)
{
    struct asked *a = ctx;
    stand_up(&a->stand, 2, (const char *const[][2]){ { "graph.steps", a->steps }, { "objective", a->objective } });
    stand_read(&a->stand, AS_TRAIN, 9);
    as_pass_backprop(&a->stand.pass);
}

static double loss_of(const char *steps, const char *objective)
{
    struct asked a = { .steps = steps, .objective = objective };
    ask_loss(&a);
    stand_free(&a.stand);
    return a.stand.pass.loss;
}

static void all_answers_are_judged(void **state)
{
    double last[3], all = loss_of("3", "ce(answers)");
    (void)state;
    for (int t = 1; t <= 3; t++)
        last[t - 1] = loss_of(as_say("%d", t), "ce");
    assert_true(fabs(last[0] - last[2]) > 1e-3);
    assert_true(fabs(all - (last[0] + last[1] + last[2]) / 3) < 1e-5);
    assert_true(fabs(loss_of("3", "ce + 0.5*ce(answers)") - last[2] - all / 2) < 1e-5);
}

static void wrong_words_are_refused(void **state)
{
    static const char *const wrong[][2] = { { "ce(", "NAME(OUTPUT)" }, { "ce()", "NAME(OUTPUT)" },
                                      { "ce(answers)s", "NAME(OUTPUT)" },
                                      { "ce(question)", "no layer of this model gives an output called 'question'" },
                                      { "ce + question(answers)", "'question' is no objective" } };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct asked a = { .steps = "3", .objective = wrong[i][0] };
        assert_int_equal(as_try(ask_loss, &a), AS_REFUSED);
        stand_free(&a.stand);
        if (!strstr(as_failure_text(), wrong[i][1]))
            fail_msg("objective = %s: \"%s\" does not say \"%s\"", wrong[i][0], as_failure_text(), wrong[i][1]);
    }
}

/* Trained with nearly all cells given, so that some grids come out right as a whole and some do not. */
static void solved_means_all(void **state)
{
    enum { N = 200 };
    struct stand s = { 0 };
    const struct as_metric *metric[2] = { as_metric_find("accuracy", NULL), as_metric_find("solved", NULL) };
    struct as_score score[2];
    float right[N], whole[N];
    int n = 0;
    (void)state;
    stand_up(&s, 4, (const char *const[][2]){ { "graph.steps", "2" }, { "objective", "ce(answers)" },
                                              { "data.givens", "12" }, { "train.steps", "60" } });
    while (!as_trainer_run(s.trainer, NULL, NULL))
        ;
    as_evaluate_all(s.model, s.data, AS_TEST, N, 32, 2, metric, score, (float *const[]){ right, whole });
    for (int i = 0; i < N; i++) {
        assert_true(whole[i] == (right[i] >= 1.0F ? 1.0F : 0.0F));
        n += whole[i] > 0;
    }
    assert_true(n > 0 && n < N);
    assert_true(fabs(score[1].value - (double)n / N) < 1e-12 && score[1].weight == N);
    stand_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(all_answers_are_judged),
                                        cmocka_unit_test(wrong_words_are_refused), cmocka_unit_test(solved_means_all) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
