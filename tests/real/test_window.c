/* test_window.c: a batch gone through piece by piece gives the gradient that it should, and nothing else changes. */
#include "../stand.h"

#include <assay/error.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 5 };

static struct stand stand_of(const char *mixer, const char *sensitivities, const char *update, const char *pieces)
{
    const char *const set[][2] = { { "data.source", "delayed-recall" }, { "data.delay", "3..9" }, { "data.trials", "2" },
                                   { "model", "classifier" }, { "block", "plain" }, { "mixer", mixer }, { "width", "6" },
                                   { "embedding", "fixed" }, { "rule", "online" }, { "rule.update", update },
                                   { "train.select", "last" }, { "train.steps", "3" }, { "train.batch", "5" },
                                   { "mixer.sensitivities", sensitivities }, { "objective.pieces", pieces } };
    struct stand s = { 0 };

    stand_set(&s, sizeof set / sizeof *set, set);
    stand_open(&s, 3);
    stand_train(&s);
    stand_read(&s, AS_TRAIN, BATCH);
    return s;
}

static struct stand stand_new(const char *mixer, const char *sensitivities, const char *update)
{
    return stand_of(mixer, sensitivities, update, NULL);
}

static void zero(struct stand *s)
{
    struct as_weights w = as_model_store(s->model);

    memset(w.dw, 0, (size_t)w.n * sizeof *w.dw);
}

/* Sums the weights of the targets, too. */
static double walk(struct stand *s, ptrdiff_t window)
{
    double weight = 0;

    for (ptrdiff_t from = 0; from < s->pass.batch->time; from += window)
        weight += as_pass_window(&s->pass, from, window);
    return weight;
}

static double relative(const real *a, const real *b, ptrdiff_t n)
{
    double off = 0, size = 0;

    for (ptrdiff_t i = 0; i < n; i++) {
        off += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    return sqrt(off / size);
}

/* The gradient had in pieces, over rows of different lengths, against that of the whole. */
static double error_of(const char *sensitivities, ptrdiff_t window)
{
    struct stand s = stand_new("elstm", sensitivities, "sequence");
    struct as_weights w = as_model_store(s.model);
    real *whole = malloc((size_t)w.n * sizeof *whole);
    double loss, error;

    assert_non_null(whole);
    zero(&s);
    as_pass_backprop(&s.pass);
    loss = s.pass.loss;
    memcpy(whole, w.dw, (size_t)w.n * sizeof *whole);
    zero(&s);
    assert_true(fabs(walk(&s, window) - 2 * BATCH) < 1e-9);
    assert_true(fabs(s.pass.loss - loss) <= 64 * (double)AS_REAL_EPSILON * loss);
    error = relative(w.dw, whole, w.n);
    free(whole);
    stand_free(&s);
    return error;
}

static void pieces_give_the_gradient(void **state)
{
    double slack = 256 * (double)AS_REAL_EPSILON;

    (void)state;
    assert_true(error_of("off", 1000) <= slack);             /* one piece: the stream is the sequence */
    assert_true(error_of("on", 1) <= slack);                 /* real-time recurrent learning */
    assert_true(error_of("off", 1) > 1e-3);                  /* truncated, so the two above say something */
    assert_true(error_of("off", 4) > 1e-4);
}

/* Memory of a step does not depend on the length, and a batch after a stream is an ordinary one. */
static void nothing_is_left_behind(void **state)
{
    struct stand s = stand_new("elstm", "on", "sequence");
    real *first;
    struct as_weights w = as_model_store(s.model);

    (void)state;
    first = malloc((size_t)w.n * sizeof *first);
    assert_non_null(first);
    zero(&s);
    walk(&s, 1);
    memcpy(first, w.dw, (size_t)w.n * sizeof *first);
    zero(&s);
    as_pass_backprop(&s.pass);
    assert_true(relative(w.dw, first, w.n) <= 256 * (double)AS_REAL_EPSILON);
    zero(&s);
    walk(&s, 1);
    assert_memory_equal(w.dw, first, (size_t)w.n * sizeof *first);
    free(first);
    stand_free(&s);
}

static void refused(void *ctx) { walk(ctx, 2); }

/* A mixer whose graph starts afresh at each step, sensitivities in pieces of more than one, an objective in its own. */
static void what_cannot_be_is_refused(void **state)
{
    struct stand a = stand_new("rnn", NULL, "sequence"), b = stand_new("elstm", "on", "sequence");
    struct stand c = stand_of("elstm", "off", "sequence", "2");

    (void)state;
    assert_int_equal(as_try(refused, &c), AS_REFUSED);
    assert_non_null(strstr(as_failure_text(), "objective.pieces = 2"));
    assert_int_equal(as_try(refused, &a), AS_REFUSED);
    assert_non_null(strstr(as_failure_text(), "does not go on from a state"));
    assert_int_equal(as_try(refused, &b), AS_REFUSED);
    assert_non_null(strstr(as_failure_text(), "rule.window = 1"));
    stand_free(&a);
    stand_free(&b);
    stand_free(&c);
}

/* Two questions a row, three batches; a run that was saved after one goes on to the same bits. */
static void updates_within_a_batch(void **state)
{
    struct stand a = stand_new("elstm", "on", "piece"), b = stand_new("elstm", "on", "piece");
    struct stand c = stand_new("elstm", "on", "sequence");
    struct as_weights wa = as_model_store(a.model), wb = as_model_store(b.model), wc = as_model_store(c.model);
    size_t n;
    void *kept;

    (void)state;
    assert_true(as_trainer_run(a.trainer, NULL, NULL) && as_trainer_run(c.trainer, NULL, NULL));
    assert_memory_not_equal(wa.w, wc.w, (size_t)wa.n * sizeof *wa.w);
    zero(&a);
    zero(&b);
    kept = as_trainer_save(a.trainer, &n);
    assert_null(as_trainer_load(b.trainer, kept, n));
    assert_memory_equal(wa.w, wb.w, (size_t)wa.n * sizeof *wa.w);
    walk(&a, 1);
    as_pass_update(&a.pass);
    walk(&b, 1);
    as_pass_update(&b.pass);
    assert_true(a.pass.updated);
    assert_memory_equal(wa.w, wb.w, (size_t)wa.n * sizeof *wa.w);
    for (ptrdiff_t i = 0; i < wa.n; i++)
        assert_true(!(fabs((double)wa.dw[i]) > 0));
    free(kept);
    stand_free(&a);
    stand_free(&b);
    stand_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_give_the_gradient), cmocka_unit_test(nothing_is_left_behind),
        cmocka_unit_test(what_cannot_be_is_refused), cmocka_unit_test(updates_within_a_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
