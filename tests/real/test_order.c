/* In which order examples come: shuffled epochs, classes one after another, generators counted on. */
#include <core/real/train.h>

#include <assay/error.h>
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

enum { COUNT = 40, CLASSES = 4, STEPS = 32, BATCH = 3 };

/* 5 examples of class 0, none of class 1, 12 of class 2, 21 of class 3, and two without a class. */
static int32_t target[COUNT];
static float x[COUNT];
static ptrdiff_t offset[COUNT + 1];

static struct as_stored stored(void)
{
    struct as_stored s = { .shape = { .n_fields = 2, .max_length = 1, .classes = CLASSES, .count = { COUNT },
                                      .metric = "accuracy", .objective = "ce" } };

    s.shape.field[0] = (struct as_data_field){ .name = "x", .rank = 1, .dim = { 1 } };
    s.shape.field[1] = (struct as_data_field){ .name = "target", .integer = true, .vocab = CLASSES };
    for (int e = 0; e < COUNT; e++) {
        int place = 7 * e % COUNT;                  /* classes lie mixed */
        target[e] = place < 5 ? 0 : place < 17 ? 2 : place < 38 ? 3 : -1;
        offset[e + 1] = e + 1;
    }
    s.offset[AS_TRAIN] = offset;
    s.x[AS_TRAIN][0] = x;
    s.i[AS_TRAIN][1] = target;
    return s;
}

struct stand { struct as_stored stored; struct as_config *cfg; struct as_trainer tr; };

static void open_stand(void *ctx)
{
    struct stand *s = ctx;

    s->tr.train = as_data_open(s->cfg, 1, s->stored.shape.n_fields ? &s->stored : NULL);
    order_set_up(&s->tr);
}

static enum as_failure stand_try(struct stand *s, const char *source, const char *order, long steps, uint64_t seed)
{
    s->cfg = as_config_new();
    as_config_set(s->cfg, "data.source", source, true);
    if (order)
        as_config_set(s->cfg, "data.order", order, true);
    s->tr = (struct as_trainer){ .seed = seed, .steps = steps, .batch = BATCH, .epoch = -1 };
    return as_try(open_stand, s);
}

static void stand_free(struct stand *s)
{
    order_free(&s->tr);
    as_data_close(s->tr.train);
    as_config_free(s->cfg);
}

/* The classes that the steps draw from, checking that no step has two. */
static void classes_of(struct stand *s, int class[STEPS])
{
    uint64_t index[BATCH];

    for (s->tr.step = 0; s->tr.step < STEPS; s->tr.step++) {
        order_pick(&s->tr, index);
        class[s->tr.step] = target[index[0]];
        for (int r = 0; r < BATCH; r++)
            assert_int_equal(target[index[r]], class[s->tr.step]);
    }
}

static void one_class_after_another(void **state)
{
    struct stand s = { .stored = stored() };
    int class[STEPS], changes = 0, steps[CLASSES] = { 0 };

    (void)state;
    assert_int_equal(stand_try(&s, "mnist", "classes", STEPS, 5), AS_OK);
    classes_of(&s, class);
    for (int i = 0; i < STEPS; i++) {
        changes += i > 0 && class[i] != class[i - 1];
        assert_in_range(class[i], 0, CLASSES - 1);
        steps[class[i]]++;
    }
    assert_int_equal(changes, 2);                   /* three classes have examples */
    assert_int_equal(steps[1], 0);
    for (int k = 0; k < CLASSES; k++)
        if (k != 1)
            assert_in_range(steps[k], STEPS / 3, STEPS / 3 + 1);
    stand_free(&s);
}

/* All examples of a class before any comes again. */
static void a_class_is_gone_through_whole(void **state)
{
    struct stand s = { .stored = stored() };
    int seen[COUNT] = { 0 }, least = COUNT, most = 0;
    uint64_t index[BATCH];

    (void)state;
    assert_int_equal(stand_try(&s, "mnist", "classes", STEPS, 5), AS_OK);
    for (s.tr.step = 0; s.tr.step < STEPS; s.tr.step++) {
        order_pick(&s.tr, index);
        for (int r = 0; r < BATCH; r++)
            seen[index[r]]++;
    }
    for (int e = 0; e < COUNT; e++) {
        if (target[e] != 2)
            continue;
        least = seen[e] < least ? seen[e] : least;
        most = seen[e] > most ? seen[e] : most;
    }
    assert_true(least >= 2 && most <= least + 1);   /* 30 or 33 places, 12 examples */
    stand_free(&s);
}

static void the_seed_draws_the_order(void **state)
{
    struct stand a = { .stored = stored() }, b = { .stored = stored() };
    int one[STEPS], other[STEPS];
    bool differ = false;

    (void)state;
    assert_int_equal(stand_try(&a, "mnist", "classes", STEPS, 0), AS_OK);
    classes_of(&a, one);
    for (uint64_t seed = 1; seed < 20 && !differ; seed++) {
        assert_int_equal(stand_try(&b, "mnist", "classes", STEPS, seed), AS_OK);
        classes_of(&b, other);
        differ = one[0] != other[0];
        stand_free(&b);
    }
    assert_true(differ);
    stand_free(&a);
}

/* A step draws the same whether those before it were drawn here or not. */
static void resuming_draws_the_same(void **state)
{
    static const char *const order[] = { "shuffled", "classes" };
    uint64_t one[BATCH], other[BATCH];

    (void)state;
    for (int o = 0; o < 2; o++)
        for (long step = STEPS - 1; step > 0; step -= 5) {
            struct stand a = { .stored = stored() }, b = { .stored = stored() };

            assert_int_equal(stand_try(&a, "mnist", order[o], STEPS, 2), AS_OK);
            assert_int_equal(stand_try(&b, "mnist", order[o], STEPS, 2), AS_OK);
            for (a.tr.step = 0; a.tr.step <= step; a.tr.step++)
                order_pick(&a.tr, one);
            b.tr.step = step;
            assert_memory_equal(order_pick(&b.tr, other), one, sizeof one);
            stand_free(&a);
            stand_free(&b);
        }
}

/* The default: each epoch a permutation of its own. */
static void shuffled_epochs(void **state)
{
    struct stand s = { .stored = stored() };
    int32_t order[COUNT];
    uint64_t index[BATCH];

    (void)state;
    assert_int_equal(stand_try(&s, "mnist", NULL, STEPS, 9), AS_OK);
    assert_string_equal(as_config_get(s.cfg, "data.order"), "shuffled");
    for (s.tr.step = 0; s.tr.step < STEPS; s.tr.step++) {
        order_pick(&s.tr, index);
        for (int r = 0; r < BATCH; r++) {
            long at = s.tr.step * BATCH + r;

            as_shuffle((struct as_key){ 9, AS_ROLE_ORDER, (uint64_t)(at / COUNT) }, COUNT, order);
            assert_int_equal(index[r], order[at % COUNT]);
        }
    }
    stand_free(&s);
}

static void generators_count_on(void **state)
{
    struct stand s = { .cfg = NULL };
    uint64_t index[BATCH];

    (void)state;
    assert_int_equal(stand_try(&s, "parity", NULL, STEPS, 9), AS_OK);
    as_trainer_begin(&s.tr, 1000);
    s.tr.step = 2;
    order_pick(&s.tr, index);
    assert_int_equal(index[0], 1000 + 2 * BATCH);
    assert_int_equal(index[BATCH - 1], 1000 + 3 * BATCH - 1);
    stand_free(&s);
}

static void what_cannot_be_ordered(void **state)
{
    struct stand s = { .cfg = NULL };

    (void)state;
    assert_int_equal(stand_try(&s, "parity", "classes", STEPS, 1), AS_REFUSED);
    has(as_failure_text(), "parity makes its examples as it goes");
    stand_free(&s);
    s.stored = stored();
    assert_int_equal(stand_try(&s, "mnist", "clases", STEPS, 1), AS_REFUSED);
    has(as_failure_text(), "data.order = clases: it is shuffled or classes");
    as_config_free(s.cfg);
    assert_int_equal(stand_try(&s, "mnist", "classes", 2, 1), AS_REFUSED);
    has(as_failure_text(), "train.steps = 2 is too few for data.order = classes: there are 3 classes");
    stand_free(&s);
    s.stored.shape.field[1].rank = 1;
    s.stored.shape.field[1].dim[0] = AS_TIME;
    assert_int_equal(stand_try(&s, "mnist", "classes", STEPS, 1), AS_REFUSED);
    has(as_failure_text(), "no class of their own");
    stand_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_class_after_another), cmocka_unit_test(a_class_is_gone_through_whole),
        cmocka_unit_test(the_seed_draws_the_order), cmocka_unit_test(resuming_draws_the_same),
        cmocka_unit_test(shuffled_epochs), cmocka_unit_test(generators_count_on),
        cmocka_unit_test(what_cannot_be_ordered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
