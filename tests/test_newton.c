/* test_newton.c: what an implementation counts of its own work comes out of the model in which it runs, all layers and
 * passes together; and training by Newton's method over time ends where training step after step does.
 */
#include <assay/config.h>
#include <assay/train.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

enum { STEPS = 4, DEPTH = 2, BATCH = 3, STRIPS = 3 };         /* as in the settings; 40 units are 3 strips of 16 */

struct outcome { double iterations, solved, swept, weights; };

static struct outcome train(const char *mixer, const char *impl)
{
    static const char *const settings[] = { "model", "lm", "width", "40", "depth", "2", "block", "prenorm", "ffn", "none",
                                            "mixer.recurrence", "diagonal", "data.source", "recall", "data.length", "50",
                                            "train.batch", "3", "train.steps", "4", "train.select", "last" };
    struct as_config *cfg = as_config_new();
    struct outcome o = { .weights = 0 };

    for (size_t i = 0; i < sizeof settings / sizeof *settings; i += 2)
        as_config_set(cfg, settings[i], settings[i + 1], true);
    as_config_set(cfg, "mixer", mixer, true);
    as_config_set(cfg, "mixer.impl", impl, true);
    struct as_data *data = as_data_open(cfg, 1, NULL);
    struct as_model *model = as_model_new(cfg, as_data_describe(data), 1);
    struct as_trainer *trainer = as_trainer_new(cfg, model, data, NULL, 1);
    struct as_weights w = as_model_store(model);
    assert_null(as_config_unread(cfg));
    assert_true(as_trainer_run(trainer, NULL, NULL));
    o.iterations = as_model_count(model, "newton.iterations");
    o.solved = as_model_count(model, "newton.solved");
    o.swept = as_model_count(model, "newton.swept");
    assert_true(as_model_count(model, "newton") == 0);
    for (ptrdiff_t i = 0; i < w.n; i++)
        o.weights += (double)w.w[i] * (double)w.w[i];
    as_trainer_free(trainer);
    as_model_free(model);
    as_data_close(data);
    as_config_free(cfg);
    return o;
}

static void counts_come_out(void **state)
{
    static const char *const mixer[] = { "rnn", "gru" };

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct outcome newton = train(mixer[i], "newton"), sweep = train(mixer[i], "sweep");

        print_message("%s: %g iterations, %g solved, %g swept; weights %.8g and %.8g\n", mixer[i], newton.iterations,
                      newton.solved, newton.swept, newton.weights, sweep.weights);
        assert_true(newton.solved == STEPS * DEPTH * BATCH * STRIPS);
        assert_true(newton.iterations > newton.solved && newton.iterations < 20 * newton.solved);
        assert_true(newton.swept == 0);
        assert_true(sweep.iterations == 0 && sweep.solved == 0);
        assert_true(fabs(newton.weights - sweep.weights) < 1e-4 * sweep.weights);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(counts_come_out) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
