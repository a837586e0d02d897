/* test_ring.c: attention by ranks, chosen in a model: what a layer's implementation counted is what the formula says,
 * it is never chosen unasked, and steps of training with it move the weights as those with the reference do.
 */
#include <assay/config.h>
#include <assay/train.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BATCH = 3, TIME = 8, WIDTH = 12 };

struct trained { struct as_config *cfg; struct as_data *data; struct as_model *model; };

static struct trained train(const char *impl, const char *ranks)
{
    const char *const set[][2] = { { "data.source", "adding" }, { "data.length", "8" }, { "model", "classifier" },
                                   { "block", "plain" }, { "mixer", "softmax-full" }, { "width", "12" },
                                   { "mixer.positions", "none" }, { "read", "mean" },
                                   { "mixer.core.impl", impl }, { "mixer.core.ranks", ranks }, { "train.batch", "3" },
                                   { "train.steps", "3" }, { "train.select", "last" } };
    struct trained s = { .cfg = as_config_new() };
    struct as_trainer *trainer;

    for (size_t i = 0; i < sizeof set / sizeof *set; i++)
        as_config_set(s.cfg, set[i][0], set[i][1], true);
    s.data = as_data_open(s.cfg, 2, NULL);
    s.model = as_model_new(s.cfg, as_data_describe(s.data), 2);
    trainer = as_trainer_new(s.cfg, s.model, s.data, NULL, 2);
    assert_true(as_trainer_run(trainer, NULL, NULL));
    as_trainer_free(trainer);
    return s;
}

static void give_back(struct trained *s)
{
    as_model_free(s->model);
    as_data_close(s->data);
    as_config_free(s->cfg);
}

static void counted(void **state)
{
    static const char *const impl[] = { "ring", "ring-online" };

    (void)state;
    for (int i = 0; i < 2; i++)
        for (int ranks = 1; ranks <= 8; ranks *= 2) {
            char text[2] = { (char)('0' + ranks), 0 };
            struct trained s = train(impl[i], text);
            double calls = as_model_count(s.model, "ring.calls"), sent = as_model_count(s.model, "ring.sent") / calls;

            assert_true(calls > 2.5);
            assert_true(fabs(sent - 2.0 * (ranks - 1) * TIME * WIDTH * BATCH) < 1e-6);
            assert_true(fabs(as_model_count(s.model, "ring.messages") / calls - 2.0 * (ranks - 1) * ranks) < 1e-6);
            assert_true(as_model_count(s.model, "ring.peak") > 0);
            give_back(&s);
        }
}

static void same_weights(void **state)
{
    struct trained ref = train("ref", "1"), ring = train("ring", "3"), online = train("ring-online", "3");
    struct as_weights a = as_model_store(ref.model), b = as_model_store(ring.model), c = as_model_store(online.model);
    double off = 0;

    (void)state;
    for (ptrdiff_t i = 0; i < a.n; i++)
        off = fmax(off, fmax(fabs((double)a.w[i] - (double)b.w[i]), fabs((double)a.w[i] - (double)c.w[i])));
    print_message("largest difference of a weight after three steps: %g\n", off);
    assert_true(off < 1e-4);                 /* three steps move it by up to 3e-3 */
    give_back(&ref);
    give_back(&ring);
    give_back(&online);
}

static void never_unasked(void **state)
{
    struct trained s = train("auto", "4");

    (void)state;
    assert_true(as_model_count(s.model, "ring.calls") < 0.5);
    give_back(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counted), cmocka_unit_test(same_weights), cmocka_unit_test(never_unasked),
    };

    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
