/* Weights that go from one model to another, and weights that a trainer leaves alone. */
#include "../stand.h"

#include <assay/error.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define has(text, part) \
    do { \
        const char *t_ = (text); \
        if (!t_ || !strstr(t_, part)) \
            fail_msg("\"%s\" does not say \"%s\"", t_ ? t_ : "(nothing)", part); \
    } while (0)

static struct stand stand_new(const char *key, const char *text, uint64_t seed)
{
    static const char *const set[][2] = { { "data.source", "parity" }, { "data.length", "3..6" }, { "model", "classifier" },
                                          { "block", "plain" }, { "mixer", "lstm" }, { "width", "6" }, { "depth", "1" },
                                          { "rule", "sgd" }, { "train.select", "last" }, { "train.batch", "4" },
                                          { "train.steps", "3" }, { "train.lr", "0.5" } };
    struct stand s = { 0 };

    stand_set(&s, sizeof set / sizeof *set, set);
    if (key)
        as_config_set(s.cfg, key, text, true);
    stand_open(&s, seed);
    return s;
}

static ptrdiff_t size_of(struct as_named_weight w)
{
    ptrdiff_t n = 1;

    for (int i = 0; i < w.rank; i++)
        n *= w.dim[i];
    return n;
}

static bool same(const struct as_model *a, const struct as_model *b, const char *name)
{
    struct as_named_weight x = as_model_weight(a, name), y = as_model_weight(b, name);

    assert_non_null(x.w);
    assert_non_null(y.w);
    assert_int_equal(size_of(x), size_of(y));
    return memcmp(x.w, y.w, (size_t)size_of(x) * sizeof(real)) == 0;
}

static void all_or_but_the_fresh(void **state)
{
    struct stand from = stand_new(NULL, NULL, 1), to = stand_new(NULL, NULL, 2), as_drawn = stand_new(NULL, NULL, 2);

    (void)state;
    assert_false(same(from.model, to.model, "W_head"));
    assert_null(as_model_adopt(to.model, from.model, "W_head, emb"));
    assert_true(same(to.model, as_drawn.model, "W_head"));
    assert_true(same(to.model, as_drawn.model, "embedding"));
    assert_true(same(to.model, from.model, "block0.mixer.W"));
    assert_true(same(to.model, from.model, "block0.mixer.U"));
    assert_true(as_model_digest(to.model) != as_model_digest(from.model));
    assert_null(as_model_adopt(to.model, from.model, NULL));
    assert_true(as_model_digest(to.model) == as_model_digest(from.model));
    stand_free(&from);
    stand_free(&to);
    stand_free(&as_drawn);
}

static void shapes_and_names_decide(void **state)
{
    struct stand from = stand_new(NULL, NULL, 1), wide = stand_new("width", "8", 2), deep = stand_new("depth", "2", 2);

    (void)state;
    has(as_model_adopt(wide.model, from.model, NULL), "and was (");
    has(as_model_adopt(wide.model, from.model, NULL), "fresh = ");
    has(as_model_adopt(deep.model, from.model, NULL), "block1.mixer.W has no forerunner; fresh = block1.mixer.W");
    assert_null(as_model_adopt(deep.model, from.model, "block1"));
    assert_true(same(deep.model, from.model, "W_head"));
    assert_null(as_model_adopt(from.model, deep.model, NULL));               /* block1 is left behind */
    has(as_model_adopt(from.model, deep.model, "W_haed"), "no weight's name begins with W_haed; one is called W_head");
    stand_free(&from);
    stand_free(&wide);
    stand_free(&deep);
}

/* Trains one step, and returns how far all weights together have gone. */
static double one_step(struct stand *s)
{
    struct as_weights w = as_model_store(s->model);
    real *before = malloc((size_t)w.n * sizeof *before);
    struct as_trainer *tr = as_trainer_new(s->cfg, s->model, s->data, NULL, 3);
    double sum = 0;

    assert_non_null(before);
    memcpy(before, w.w, (size_t)w.n * sizeof *before);
    assert_true(as_trainer_run(tr, NULL, NULL));
    for (ptrdiff_t i = 0; i < w.n; i++)
        sum += ((double)w.w[i] - (double)before[i]) * ((double)w.w[i] - (double)before[i]);
    as_trainer_free(tr);
    free(before);
    return sqrt(sum);
}

static void frozen_weights_stay(void **state)
{
    struct stand s = stand_new("train.freeze", "embedding, block0.mixer", 1), was = stand_new(NULL, NULL, 1);

    (void)state;
    as_config_set(s.cfg, "train.decay", "0.1", true);          /* nor do they shrink */
    as_config_set(s.cfg, "train.decay_on", "all", true);
    one_step(&s);
    assert_true(same(s.model, was.model, "embedding"));
    assert_true(same(s.model, was.model, "block0.mixer.W"));
    assert_true(same(s.model, was.model, "block0.mixer.U"));
    assert_true(same(s.model, was.model, "block0.mixer.b"));
    assert_false(same(s.model, was.model, "W_head"));
    assert_false(same(s.model, was.model, "b_head"));
    stand_free(&s);
    stand_free(&was);
}

/* Clipped to a norm c, the weights that are trained go lr c, whatever gradient the others have. */
static void frozen_gradients_are_not_clipped_for(void **state)
{
    struct stand s = stand_new("train.freeze", "W_head", 1);

    (void)state;
    as_config_set(s.cfg, "train.steps", "1", true);
    as_config_set(s.cfg, "train.clip", "0.001", true);
    assert_true(fabs(one_step(&s) / (0.5 * 0.001) - 1) < 1e-3);
    stand_free(&s);
}

static void make_trainer(void *ctx)
{
    struct stand *s = ctx;

    as_trainer_free(as_trainer_new(s->cfg, s->model, s->data, NULL, 3));
}

static void what_cannot_be_frozen(void **state)
{
    struct stand s = stand_new("train.freeze", "embeding", 1);

    (void)state;
    assert_int_equal(as_try(make_trainer, &s), AS_REFUSED);
    has(as_failure_text(), "train.freeze = embeding: no weight's name begins with embeding; one is called embedding");
    as_config_set(s.cfg, "train.freeze", "embedding, block0, W_head, b_head, norm", true);
    assert_int_equal(as_try(make_trainer, &s), AS_REFUSED);
    has(as_failure_text(), "leaves no weight to train");
    as_config_set(s.cfg, "train.freeze", "none", true);
    assert_int_equal(as_try(make_trainer, &s), AS_OK);
    stand_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_or_but_the_fresh), cmocka_unit_test(shapes_and_names_decide),
        cmocka_unit_test(frozen_weights_stay), cmocka_unit_test(frozen_gradients_are_not_clipped_for),
        cmocka_unit_test(what_cannot_be_frozen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
