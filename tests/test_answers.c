/* A model that answers at every step: the objective that judges all answers, the same weights run for more steps, and
 * the metric that wants all of an example right. */
#include <assay/error.h>
#include <assay/train.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct stand { struct as_config *cfg; struct as_data *data; struct as_model *model; struct as_trainer *trainer; };

/* Sudoku of 4 x 4 cells; pairs: further keys, NULL ends. */
static struct stand stand_new(const char *const *pairs)
{
    static const char *const set[][2] = { { "data.source", "sudoku" }, { "data.size", "4" }, { "model", "relational" },
                                          { "width", "12" }, { "layers", "1" }, { "train.select", "last" },
                                          { "train.lr", "1e-2" }, { "train.batch", "16" } };
    struct stand s = { .cfg = as_config_new() };
    for (size_t i = 0; i < sizeof set / sizeof *set; i++)
        as_config_set(s.cfg, set[i][0], set[i][1], true);
    for (; *pairs; pairs += 2)
        as_config_set(s.cfg, pairs[0], pairs[1], true);
    s.data = as_data_open(s.cfg, 3, NULL);
    s.model = as_model_new(s.cfg, as_data_describe(s.data), 3);
    s.trainer = as_trainer_new(s.cfg, s.model, s.data, NULL, 3);
    return s;
}

static void stand_free(struct stand *s)
{
    as_trainer_free(s->trainer);
    as_model_free(s->model);
    as_data_close(s->data);
    as_config_free(s->cfg);
}

/* The loss of one training batch; raises. */
static double loss_of(const char *steps, const char *objective)
{
    struct stand s = stand_new((const char *const[]){ "graph.steps", steps, "objective", objective, NULL });
    struct as_arena *a = as_arena_new();
    struct as_pass p = { .model = s.model, .trainer = s.trainer,
                         .batch = as_batch_fill(s.data, a, AS_TRAIN, 0, 9, NULL) };
    as_pass_backprop(&p);
    as_arena_free(a);
    stand_free(&s);
    return p.loss;
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

static void run_loss(void *objective) { loss_of("3", objective); }

static void wrong_words_are_refused(void **state)
{
    static char *const wrong[][2] = { { "ce(", "NAME(OUTPUT)" }, { "ce()", "NAME(OUTPUT)" },
                                      { "ce(answers)s", "NAME(OUTPUT)" },
                                      { "ce(question)", "no layer of this model gives an output called 'question'" },
                                      { "ce + question(answers)", "'question' is no objective" } };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(as_try(run_loss, wrong[i][0]), AS_REFUSED);
        if (!strstr(as_failure_text(), wrong[i][1]))
            fail_msg("objective = %s: \"%s\" does not say \"%s\"", wrong[i][0], as_failure_text(), wrong[i][1]);
    }
}

/* Trained with nearly all cells given, so that some grids come out right as a whole and some do not. */
static void solved_means_all(void **state)
{
    enum { N = 200 };
    struct stand s = stand_new((const char *const[]){ "graph.steps", "2", "objective", "ce(answers)", "data.givens",
                                                      "12", "train.steps", "60", NULL });
    const struct as_metric *metric[2] = { as_metric_find("accuracy", NULL), as_metric_find("solved", NULL) };
    struct as_score score[2];
    float right[N], whole[N];
    int n = 0;
    (void)state;
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
