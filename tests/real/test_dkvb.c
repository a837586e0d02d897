/* test_dkvb.c: keys of the discrete key-value bottleneck follow what picks them, and only while they are to; values
 * that were not picked get no gradient.
 */
#include <assay/train.h>

#include <assay/error.h>
#include <assay/random.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

enum { C = 2, K = 3, DK = 2, D = 4, ROWS = 6, OUT = 3, PASSES = 4 };
static const double decay = 0.75, expire = 0.8;

struct stand { struct as_config *cfg; struct as_model *model; struct as_tape *t; real x[ROWS * D]; int32_t one[ROWS]; };

static struct stand stand_new(const char *learn)
{
    const char *const set[][2] = { { "model", "dkvb" }, { "heads", "2" }, { "keys", "3" }, { "key_width", "2" },
                                   { "decay", "0.75" }, { "expire", "0.8" }, { "learn", learn } };
    struct as_data_shape shape = { .n_fields = 1, .max_length = 1, .classes = OUT,
                                   .field = { { .name = "x", .rank = 2, .dim = { AS_TIME, D } } } };
    struct stand s = { .cfg = as_config_new(), .t = as_tape_new() };

    for (size_t i = 0; i < sizeof set / sizeof *set; i++)
        as_config_set(s.cfg, set[i][0], set[i][1], true);
    s.model = as_model_new(s.cfg, &shape, 7);
    return s;
}

static void stand_free(struct stand *s)
{
    as_tape_free(s->t);
    as_model_free(s->model);
    as_config_free(s->cfg);
}

/* One pass over rows that `number` draws; the last row is padding (length 0). */
static struct as_node *pass(struct stand *s, uint64_t number, bool training)
{
    struct as_key key = { 11, AS_ROLE_TEST_HARNESS, number };
    struct as_batch b = { .batch = ROWS, .time = 1, .n_fields = 1, .length = s->one, .x = { s->x },
                          .field = { { .name = "x", .rank = 2, .dim = { AS_TIME, D } } } };

    for (int i = 0; i < ROWS * D; i++)
        s->x[i] = (real)as_normal(key, (uint64_t)i);
    for (int r = 0; r < ROWS; r++)
        s->one[r] = r < ROWS - 1;
    as_tape_reset(s->t);
    return as_model_forward(s->model, s->t, &b, training, key);
}

/* What the keys should be, in double: from the projections of the model. */
struct truth { double key[C][K][DK], count[C][K]; int expired; };

static void project(const struct stand *s, int row, int c, double *z)
{
    const real *R_ = as_model_weight(s->model, "R").w;

    for (int j = 0; j < DK; j++) {
        z[j] = 0;
        for (int d = 0; d < D; d++)
            z[j] += (double)R_[(c * DK + j) * D + d] * (double)s->x[row * D + d];
    }
}

static int nearest(const struct truth *t, int c, const double *z)
{
    double least = HUGE_VAL;
    int best = 0;

    for (int i = 0; i < K; i++) {
        double far = 0;

        for (int j = 0; j < DK; j++)
            far += (z[j] - t->key[c][i][j]) * (z[j] - t->key[c][i][j]);
        if (far < least) {
            least = far;
            best = i;
        }
    }
    return best;
}

static void follow(const struct stand *s, struct truth *t)
{
    for (int c = 0; c < C; c++) {
        double n[K] = { 0 }, sum[K][DK] = { { 0 } }, z[DK];

        for (int r = 0; r < ROWS - 1; r++) {
            project(s, r, c, z);
            int i = nearest(t, c, z);
            n[i]++;
            for (int j = 0; j < DK; j++)
                sum[i][j] += z[j];
        }
        for (int i = 0; i < K; i++) {
            double was = t->count[c][i], now = decay * was + (1 - decay) * n[i];
            bool moves = was > 0 && now >= expire;

            project(s, i % (ROWS - 1), c, z);
            t->expired += !moves && was > 0;
            for (int j = 0; j < DK; j++)
                t->key[c][i][j] = moves ? (decay * was * t->key[c][i][j] + (1 - decay) * sum[i][j]) / now : z[j];
            t->count[c][i] = moves ? now : 1;
        }
    }
}

static void keys_follow_what_picks_them(void **state)
{
    struct stand s = stand_new("on");
    const real *key = as_model_weight(s.model, "K").w, *count = as_model_weight(s.model, "N").w;
    struct truth t = { .expired = 0 };

    (void)state;
    for (int i = 0; i < C * K * DK; i++)
        (&t.key[0][0][0])[i] = (double)key[i];
    for (uint64_t n = 0; n < 3 * PASSES; n++) {
        pass(&s, n, true);
        follow(&s, &t);
        for (int i = 0; i < C * K * DK; i++)
            assert_true(fabs((double)key[i] - (&t.key[0][0][0])[i]) <= 100 * (double)AS_REAL_EPSILON);
        for (int i = 0; i < C * K; i++)
            assert_true(fabs((double)count[i] - (&t.count[0][0])[i]) <= 100 * (double)AS_REAL_EPSILON);
    }
    assert_true(t.expired > 0);                          /* else that was not seen */
    stand_free(&s);
}

static void keys_that_do_not_learn_stay(void **state)
{
    struct stand s = stand_new("off"), e = stand_new("on");
    real before[C * K * DK];

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct stand *one = k ? &e : &s;
        const real *key = as_model_weight(one->model, "K").w;

        memcpy(before, key, sizeof before);
        pass(one, 1, k == 0);                            /* learn = off in training; learn = on in evaluation */
        assert_memory_equal(before, key, sizeof before);
    }
    stand_free(&s);
    stand_free(&e);
}

/* Of the values, those of the keys that were picked: at most ROWS in each head. */
static void only_what_was_picked_has_a_gradient(void **state)
{
    struct stand s = stand_new("off");
    struct as_weights w = as_model_store(s.model);
    struct as_named_weight v = as_model_weight(s.model, "V"), k = as_model_weight(s.model, "K");
    struct truth t = { .expired = 0 };
    bool picked[C * K] = { false };
    double z[DK];
    int not_picked = 0;

    (void)state;
    for (int i = 0; i < C * K * DK; i++)
        (&t.key[0][0][0])[i] = (double)k.w[i];
    memset(w.dw, 0, (size_t)w.n * sizeof *w.dw);
    as_backward(s.t, as_sum_all(s.t, pass(&s, 2, true)), R(1.0));
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < C; c++) {
            project(&s, r, c, z);
            picked[c * K + nearest(&t, c, z)] = true;
        }
    for (int i = 0; i < C * K; i++) {
        not_picked += !picked[i];
        for (int j = 0; j < OUT; j++)
            assert_true((fabs((double)w.dw[v.w - w.w + i * OUT + j]) > 0) == picked[i]);
    }
    assert_true(not_picked > 0);
    stand_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_follow_what_picks_them),
        cmocka_unit_test(keys_that_do_not_learn_stay),
        cmocka_unit_test(only_what_was_picked_has_a_gradient),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
