/* test_recompute.c: the option `recompute` of the wirings: after some steps of training the same weights, bit for bit,
 * and less memory, with draws, both orders of normalisation, and branches that have no residual path. And objective.pieces: head
 * and objective a piece of the sequence at a time give the same training, to rounding, in less memory.
 */
#include <assay/config.h>
#include <assay/train.h>
#include <core/real/train.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { ROOM = 100000 };

struct outcome { uint64_t digest; size_t peak; ptrdiff_t n; float weight[ROOM]; };

static void train(const char *const *settings, const char *key, const char *value, struct outcome *o)
{
    struct as_config *cfg = as_config_new();
    as_config_set(cfg, "model", "lm", true);
    as_config_set(cfg, "width", "32", true);
    as_config_set(cfg, "data.source", "recall", true);
    as_config_set(cfg, "data.length", "200", true);
    as_config_set(cfg, "data.vocabulary", "64", true);
    as_config_set(cfg, "train.batch", "3", true);
    as_config_set(cfg, "train.steps", "4", true);
    as_config_set(cfg, "train.select", "last", true);
    as_config_set(cfg, key, value, true);
    for (int i = 0; settings[i]; i += 2)
        as_config_set(cfg, settings[i], settings[i + 1], true);
    struct as_data *data = as_data_open(cfg, 1, NULL);
    struct as_model *model = as_model_new(cfg, as_data_describe(data), 1);
    struct as_trainer *trainer = as_trainer_new(cfg, model, data, NULL, 1);
    if (as_config_unread(cfg))
        fail_msg("%s", as_config_unread(cfg));
    assert_true(as_trainer_run(trainer, NULL, NULL));
    o->digest = as_model_digest(model);
    o->peak = as_arena_peak(as_tape_arena(trainer->tape));
    o->n = as_model_store(model).n;
    assert_true(o->n <= ROOM);
    for (ptrdiff_t i = 0; i < o->n; i++)
        o->weight[i] = (float)as_model_store(model).w[i];
    as_trainer_free(trainer);
    as_model_free(model);
    as_data_close(data);
    as_config_free(cfg);
}

static struct outcome kept, again;

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
        train(settings[i], "block.recompute", "off", &kept);
        train(settings[i], "block.recompute", "on", &again);
        print_message("%s, %s: %zu bytes, recomputed %zu\n", settings[i][1], settings[i][3], kept.peak, again.peak);
        assert_int_equal(kept.digest, again.digest);
        assert_true(again.peak < kept.peak);
    }
}

/* 200 steps in 7 pieces of 29, the last of 26; targets are in some places only. */
static void head_in_pieces(void **state)
{
    static const char *const settings[][16] = {
        { "mixer", "linear", "rule", "sgd", "train.lr", "0.1", "data.vocabulary", "512", "data.pairs", "3..9" },
        { "mixer", "gru", "rule", "sgd", "train.lr", "0.1", "data.vocabulary", "512", "tied", "1", "objective", "0.5*ce" },
    };
    double moved = 0;

    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        train(settings[i], "train.steps", "0", &kept);
        train(settings[i], "objective.pieces", "7", &again);
        for (ptrdiff_t j = 0; j < kept.n; j++)
            moved = fmax(moved, fabs((double)kept.weight[j] - (double)again.weight[j]));
        assert_true(moved > 1e-3);
        train(settings[i], "objective.pieces", "1", &kept);
        print_message("%s: %zu bytes, in pieces %zu\n", settings[i][1], kept.peak, again.peak);
        for (ptrdiff_t j = 0; j < kept.n; j++)
            assert_true(fabs((double)kept.weight[j] - (double)again.weight[j]) <= 1e-5);
        assert_true(again.peak + 2 * 600 * 512 < kept.peak);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(same_bits_in_less_memory), cmocka_unit_test(head_in_pieces) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
