/* test_layer_options.c: options that change the mathematics of recurrent cells, activations, normalisations and
 * gated layers: graph against the other forms in double, the default form in float, and streaming. `assay check`
 * compares the defaults, and each option by itself; here are several together. Also blocks around cells of another
 * width, and the sizes of the three chorale models.
 */
#include "driver/check/real/form.h"

#include <assay/config.h>
#include <assay/parallel.h>
#include <assay/train.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct setting { const char *variant, *options[8]; };

static const struct setting settings[] = {
    { "recurrent/rnn", { "nonlinearity=relu", "hidden=9" } },
    { "recurrent/rnn", { "bias=0", "start=orthogonal" } },
    { "recurrent/rnn", { "start=identity", "hidden=24" } },
    { "recurrent/lstm", { "peepholes=1", "hidden=11" } },
    { "recurrent/lstm", { "bias=0", "peepholes=1" } },
    { "recurrent/lstm", { "forget_bias=0", "bias=0", "hidden=40" } },
    { "recurrent/gru", { "reset=after", "hidden=11" } },
    { "recurrent/gru", { "reset=after", "bias=0" } },
    { "recurrent/gru", { "reset=before", "bias=0", "hidden=33" } },
    { "linear-recurrence/lru", { "hidden=5", "r_min=0.5", "r_max=0.9", "max_phase=0.3" } },
    { "ffn/swiglu", { "ratio=2", "multiple=7" } },
    { "normalisation/rmsnorm", { "gain=0", "eps=0.1" } },
    { "normalisation/layernorm", { "gain=0", "eps=0.1" } },
    { "normalisation/layernorm", { "bias=0" } },
    { "activation/gelu", { "form=tanh" } },
};

static struct form form_of(const struct setting *s, const char *impl)
{
    struct form f = { .variant = s->variant, .impl = impl, .batch = 3, .time = 6, .n_in = 1, .seed = 5,
                      .in = { { .name = "x", .rank = 1, .dim = { 10 } } } };

    for (int i = 0; i < 8 && s->options[i]; i++)
        f.options[i] = s->options[i];
    return f;
}

/* Part by part: the largest difference over the largest value. */
static void assert_near(const struct setting *s, const char *what, const struct form_result *got,
                        const struct form_result *want, int parts, double limit)
{
    if (got->why[0] || want->why[0])
        fail_msg("%s %s %s: %s%s", s->variant, s->options[0], what, got->why, want->why);
    assert_true(got->n_parts >= parts && want->n_parts >= parts);
    for (int p = 0; p < parts; p++) {
        double worst = 0, most = 1e-30;

        assert_int_equal(got->end[p], want->end[p]);
        for (size_t i = p ? want->end[p - 1] : 0; i < want->end[p]; i++) {
            double d = fabs(got->value[i] - want->value[i]);

            worst = d > worst || isnan(d) ? d : worst;
            most = fmax(most, fabs(want->value[i]));
        }
        if (!(worst <= limit * most))
            fail_msg("%s %s, %s, %s: %.3g apart, allowed %g", s->variant, s->options[0], what, want->part[p],
                     worst / most, limit);
    }
}

static void graph_against_the_others(void **state)
{
    (void)state;
    as_threads_set(1);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct form graph = form_of(&settings[i], "graph"), ref = form_of(&settings[i], "ref");
        struct form any = form_of(&settings[i], NULL), stream = any;
        struct form_result truth, other, single, steps;

        stream.stream = 1;
        truth = form_run_d(&graph);
        other = form_run_d(&ref);
        single = form_run(&any);
        steps = form_run_d(&stream);
        assert_near(&settings[i], "ref in double", &other, &truth, truth.n_parts, 1e-11);
        assert_near(&settings[i], "default in float", &single, &truth, truth.n_parts, 1e-5);
        assert_near(&settings[i], "streamed", &steps, &truth, 1, 1e-11);
        free(truth.value), free(other.value), free(single.value), free(steps.value);
    }
}

static const struct setting blocks[] = {
    { "wiring/prenorm", { "mixer=gru", "mixer.hidden=7", "conv=4", "ffn=mlp" } },
    { "wiring/prenorm", { "mixer=lstm", "conv=1", "ffn=swiglu", "norm=layernorm" } },
    { "wiring/prenorm", { "mixer=rnn", "mixer.hidden=6", "residual=off", "norm=none" } },
    { "wiring/postnorm", { "mixer=mingru", "mixer.hidden=7", "conv=3", "ffn=mlp", "ffn.act=tanh" } },
    { "wiring/postnorm", { "mixer=lru", "norm=rmsnorm", "dropout=0.5" } },
    { "wiring/plain", { "mixer=minlstm", "mixer.hidden=13" } },
    { "model/frames", { "block=plain", "mixer=gru", "mixer.hidden=7", "depth=2" } },
    { "model/frames", { "input=projected", "width=12", "mixer=lstm", "final_norm=1" } },
    { "model/classifier", { "mixer=template", "width=8", "block.conv=2", "depth=3" } },
};

/* Float against double, and streaming against the whole. */
static void blocks_and_models(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        struct form whole = form_of(&blocks[i], NULL), stream = whole;
        struct form_result truth, single, steps;

        stream.stream = 1;
        truth = form_run_d(&whole);
        single = form_run(&whole);
        steps = form_run_d(&stream);
        assert_near(&blocks[i], "in float", &single, &truth, truth.n_parts, 2e-5);
        assert_near(&blocks[i], "streamed", &steps, &truth, 1, 1e-10);
        free(truth.value), free(single.value), free(steps.value);
    }
}

struct sized { const char *cell, *units; double parameters; };

static struct as_config *chorale_config(const struct sized *s)
{
    struct as_config *cfg = as_config_new();

    as_config_set(cfg, "model", "frames", true);
    as_config_set(cfg, "block", "plain", true);
    as_config_set(cfg, "mixer", s->cell, true);
    as_config_set(cfg, "mixer.hidden", s->units, true);
    return cfg;
}

/* Cells that read 88 keys and a head back to them, by hand: g (88 h + h h + h) + 88 h + 88. */
static void chorale_models_have_their_size(void **state)
{
    static const struct sized arms[] = { { "rnn", "75", 18988 }, { "gru", "46", 22766 }, { "lstm", "36", 21256 } };
    struct as_data_shape data = { .n_fields = 1, .classes = 88, .max_length = 60,
                                  .field = { { .name = "x", .rank = 2, .dim = { AS_TIME, 88 } } } };

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct as_config *cfg = chorale_config(&arms[i]);
        struct as_model *m = as_model_new(cfg, &data, 1);
        double n = as_model_measure(m, 60).parameters;

        assert_true(n == arms[i].parameters);
        assert_true(n > 18900 && n < 23000);
        as_model_free(m);
        as_config_free(cfg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graph_against_the_others),
        cmocka_unit_test(blocks_and_models),
        cmocka_unit_test(chorale_models_have_their_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
