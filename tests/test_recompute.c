/* test_recompute.c: the option `recompute` of the wirings: after some steps of training the same weights, bit for bit,
 * and less memory, with draws, both orders of normalisation, and branches that have no residual path.
 */
#include <assay/config.h>
#include <assay/train.h>
#include <core/real/train.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct outcome { uint64_t digest; size_t peak; };

static struct outcome train(const char *const *settings, const char *recompute)
{
    struct as_config *cfg = as_config_new();
    struct outcome o;

    as_config_set(cfg, "model", "lm", true);
    as_config_set(cfg, "width", "32", true);
    as_config_set(cfg, "data.source", "recall", true);
    as_config_set(cfg, "data.length", "200", true);
    as_config_set(cfg, "data.vocabulary", "64", true);
    as_config_set(cfg, "train.batch", "3", true);
    as_config_set(cfg, "train.steps", "4", true);
    as_config_set(cfg, "train.select", "last", true);
    as_config_set(cfg, "block.recompute", recompute, true);
    for (int i = 0; settings[i]; i += 2)
        as_config_set(cfg, settings[i], settings[i + 1], true);
    struct as_data *data = as_data_open(cfg, 1, NULL);
    struct as_model *model = as_model_new(cfg, as_data_describe(data), 1);
    struct as_trainer *trainer = as_trainer_new(cfg, model, data, NULL, 1);
    if (as_config_unread(cfg))
        fail_msg("%s", as_config_unread(cfg));
    assert_true(as_trainer_run(trainer, NULL, NULL));
    o = (struct outcome){ as_model_digest(model), as_arena_peak(as_tape_arena(trainer->tape)) };
    as_trainer_free(trainer);
    as_model_free(model);
    as_data_close(data);
    as_config_free(cfg);
    return o;
}

static void same_bits_in_less_memory(void **state)
{
    static const char *const settings[][16] = {
        { "block", "prenorm", "mixer", "linear", "ffn", "mlp", "depth", "3" },
        { "block", "prenorm", "mixer", "gla", "block.dropout", "0.2", "block.conv", "4", "depth", "3" },
        { "block", "postnorm", "mixer", "deltanet", "ffn", "swiglu", "depth", "3", "block.dropout", "0.1" },
        { "block", "prenorm", "mixer", "gru", "ffn", "mlp", "depth", "3", "block.residual", "off" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct outcome kept = train(settings[i], "off"), again = train(settings[i], "on");

        print_message("%s, %s: %zu bytes, recomputed %zu\n", settings[i][1], settings[i][3], kept.peak, again.peak);
        assert_int_equal(kept.digest, again.digest);
        assert_true(again.peak < kept.peak);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(same_bits_in_less_memory) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
