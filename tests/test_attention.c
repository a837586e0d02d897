/* test_attention.c: softmax attention, causal and in both directions: the kernel in tiles against the reference in
 * double, the reference against central differences and the graph; then the layers around it: streaming against the
 * parallel form, and what they refuse. How and how near the forms of the core are compared: core_case.h.
 */
#include "core_case.h"

#include "../core/real/layer.h"
#include <assay/parallel.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern const struct as_plugin as_plugin_core__softmax_attention, as_plugin_core__softmax_attention_d,
    as_plugin_core__full_attention, as_plugin_core__full_attention_d;
extern const struct as_plugin as_plugin_core__softmax_attention__tiled__portable,
    as_plugin_core__full_attention__tiled__portable;
#ifdef __x86_64__
extern const struct as_plugin as_plugin_core__softmax_attention__tiled__avx2,
    as_plugin_core__softmax_attention__tiled__avx512;
extern const struct as_plugin as_plugin_core__full_attention__tiled__avx2, as_plugin_core__full_attention__tiled__avx512;
#define LEVELS(core) { &as_plugin_core__##core##__tiled__portable, &as_plugin_core__##core##__tiled__avx2, \
                       &as_plugin_core__##core##__tiled__avx512 }
#else
#define LEVELS(core) { &as_plugin_core__##core##__tiled__portable, NULL, NULL }
#endif

static const struct { double scale; } by_width = { 0 }, one = { 1 };     /* the core's options */

static const struct core_case cases[] = {
    { .name = "softmax-attention.tiled", .ports = "qkv", .ref = &as_plugin_core__softmax_attention_d,
      .variant = &as_plugin_core__softmax_attention, .kernel = LEVELS(softmax_attention), .opt = &by_width },
    { .name = "full-attention.tiled", .ports = "qkv", .ref = &as_plugin_core__full_attention_d,
      .variant = &as_plugin_core__full_attention, .kernel = LEVELS(full_attention), .opt = &by_width },
};
enum { CASES = sizeof cases / sizeof *cases };

struct sizes { ptrdiff_t batch, time, heads, dk, dv; };

static const struct sizes shapes[] = {
    { 1, 1, 1, 1, 1 },   { 2, 2, 1, 3, 5 },   { 3, 31, 2, 8, 8 },   { 2, 32, 3, 16, 16 }, { 2, 33, 1, 7, 11 },
    { 1, 97, 2, 8, 13 }, { 2, 127, 1, 16, 4 }, { 2, 128, 1, 8, 8 }, { 1, 129, 2, 24, 24 }, { 1, 257, 1, 33, 17 },
    { 1, 300, 2, 64, 64 }, { 9, 130, 2, 13, 9 },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static struct core_case sized(int i, struct sizes s)
{
    struct core_case c = cases[i];

    c.batch = s.batch;
    c.time = s.time;
    c.heads = s.heads;
    c.dk = s.dk;
    c.dv = s.dv;
    return c;
}

static void tiles_against_reference(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++)
        for (int k = 0; k < SHAPES; k++) {
            struct core_case c = sized(i, shapes[k]);

            core_compare(&c);
        }
    print_message("largest error: %.2f of what is allowed\n", core_worst());
}

static void rows_of_all_lengths(void **state)
{
    static const int32_t length[] = { 0, 1, 31, 32, 33, 127, 128, 129, 200 };

    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct core_case c = sized(i, (struct sizes){ 9, 200, 2, 8, 12 });

        c.length = length;
        core_compare(&c);
    }
}

/* Many rows, which lanes take whole, and few long ones, cut along time; with lengths and without. */
static void fresh_gradients_are_written_whole(void **state)
{
    static const int32_t length[] = { 0, 1, 31, 32, 33, 127, 128, 129, 200 }, few[] = { 190, 70 };

    (void)state;
    for (int i = 0; i < CASES; i++)
        for (int by_length = 0; by_length < 2; by_length++) {
            struct core_case many = sized(i, (struct sizes){ 9, 200, 2, 8, 12 });
            struct core_case c = sized(i, (struct sizes){ 2, 300, 1, 16, 8 });

            many.length = by_length ? length : NULL;
            c.length = by_length ? few : NULL;
            core_writes_fresh(&many);
            core_writes_fresh(&c);
        }
}

/* Logits of several hundred: all weight on one key, and no overflow. */
static void large_logits(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct core_case c = sized(i, (struct sizes){ 2, 150, 2, 16, 8 });

        c.spread = 10;
        c.opt = &one;
        core_compare(&c);
    }
    print_message("largest error: %.2f of what is allowed\n", core_worst());
}

static void references_against_differences(void **state)
{
    static const int32_t length[] = { 5, 3 };

    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct core_case c = sized(i, (struct sizes){ 2, 5, 2, 3, 4 });

        core_slopes(&c);
        c.length = length;
        core_slopes(&c);
    }
}

static void graphs_against_reference(void **state)
{
    static const int32_t length[] = { 19, 7, 0 };

    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct core_case c = sized(i, (struct sizes){ 3, 19, 2, 5, 7 });

        core_compare_graph(&c);
        c.length = length;
        core_compare_graph(&c);
    }
}

static void same_bits_at_any_team(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct core_case c = sized(i, (struct sizes){ 7, 150, 5, 16, 16 });

        core_same_bits(&c);
        c = sized(i, (struct sizes){ 1, 300, 1, 16, 16 });        /* few rows: cut along time too */
        core_same_bits(&c);
    }
}

static void later_inputs_change_nothing_earlier(void **state)
{
    struct core_case c = sized(0, (struct sizes){ 2, 300, 2, 8, 16 });

    (void)state;
    core_is_causal(&c);
    c.time = 51;
    core_is_causal(&c);
}

static void padding_changes_nothing_valid(void **state)
{
    static const int32_t length[] = { 150, 1, 0, 64, 77 };

    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct core_case c = sized(i, (struct sizes){ 5, 150, 2, 16, 8 });

        c.length = length;
        core_ignores_padding(&c);
        c.heads = 4;
        core_ignores_padding(&c);
    }
}

static void gradients_one_at_a_time(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct core_case c = sized(i, (struct sizes){ 2, 140, 2, 16, 8 });

        core_leaves_frozen(&c);
        c = sized(i, (struct sizes){ 8, 140, 2, 10, 8 });         /* whole rows */
        core_leaves_frozen(&c);
    }
}

/* --- the layers -------------------------------------------------------------------------------------------- */

struct stand {                           /* one layer alone in a model */
    struct as_config *cfg;
    struct as_model *model;
    struct as_tape *tape;
    const char *mixer, *positions, *conv;
    ptrdiff_t max_time, width;
};

static void put_up(void *ctx)
{
    struct stand *s = ctx;
    struct as_spec in = { AS_REALS, 3, { AS_ANY, AS_ANY, s->width }, 0 };
    struct as_model *m = calloc(1, sizeof *m);
    float *store;

    assert_non_null(m);
    s->model = m;
    m->cfg = s->cfg;
    m->data.max_length = s->max_time;
    as_config_set(s->cfg, "mixer", s->mixer, true);
    as_config_set(s->cfg, "mixer.positions", s->positions, true);
    as_config_set(s->cfg, "mixer.conv", s->conv, true);
    m->root = layer_build(m, "mixer", NULL, "mixer", 1, &in);
    m->store = store = calloc((size_t)m->n_store, sizeof *store);
    m->gradient = calloc((size_t)m->n_store, sizeof *store);
    assert_non_null(store);
    assert_non_null(m->gradient);
    for (int i = 0; i < m->root->n_weights; i++)
        m->root->weight[i].node.x = store + m->root->weight[i].at;
    for (ptrdiff_t i = 0; i < m->n_store; i++)
        store[i] = 0.4f * as_normal((struct as_key){ 5, AS_ROLE_TEST_HARNESS, 0 }, (uint64_t)i);
}

static struct stand new_stand(const char *mixer, const char *positions, const char *conv, ptrdiff_t max_time)
{
    struct stand s = { .cfg = as_config_new(), .tape = as_tape_new(), .mixer = mixer, .positions = positions,
                       .conv = conv, .max_time = max_time, .width = 16 };

    return s;
}

static void take_down(struct stand *s)
{
    as_model_free(s->model);
    as_tape_free(s->tape);
    as_config_free(s->cfg);
}

/* x (batch, time, 16) of the tape's arena. */
static struct as_node *input(struct as_tape *t, ptrdiff_t batch, ptrdiff_t time)
{
    struct as_node *x = as_node_new(t, 3, (ptrdiff_t[]){ batch, time, 16 });

    for (ptrdiff_t i = 0; i < as_node_size(x); i++)
        x->x[i] = as_normal((struct as_key){ 6, AS_ROLE_TEST_HARNESS, 0 }, (uint64_t)i);
    return x;
}

static void streams_as_it_reads(const char *positions, const char *conv)
{
    enum { BATCH = 3, TIME = 37 };
    struct stand s = new_stand("softmax", positions, conv, TIME);
    struct as_key none = { 0 };
    struct as_node *x, *whole;

    put_up(&s);
    x = input(s.tape, BATCH, TIME);
    whole = layer_run(s.model->root, s.tape, false, none, 1, &x);
    as_model_stream(s.model, BATCH);
    for (ptrdiff_t t = 0; t < TIME; t++) {
        struct as_node *now = as_slice(s.tape, x, 1, t, 1), *y = as_model_step(s.model, s.tape, 1, &now);

        for (ptrdiff_t b = 0; b < BATCH; b++)
            for (ptrdiff_t j = 0; j < 16; j++) {
                float a = y->x[b * 16 + j], w = whole->x[(b * TIME + t) * 16 + j];

                /* chains of at most 37 additions of numbers near 1, in another order */
                if (!(fabsf(a - w) <= 2e-5f * (1 + fabsf(w))))
                    fail_msg("positions %s, conv %s: step %td gives %.8g, the whole sequence %.8g", positions, conv, t,
                             (double)a, (double)w);
            }
    }
    take_down(&s);
}

static void streaming_is_the_parallel_form(void **state)
{
    (void)state;
    streams_as_it_reads("none", "0");
    streams_as_it_reads("rotary", "0");
    streams_as_it_reads("learned", "4");
    streams_as_it_reads("rotary", "8");
}

struct running { struct stand *stand; ptrdiff_t time, steps; };

static void run_it(void *ctx)
{
    struct running *r = ctx;
    struct as_key none = { 0 };
    struct as_node *x = input(r->stand->tape, 2, r->time);

    if (r->steps)
        as_model_stream(r->stand->model, 2);
    else
        layer_run(r->stand->model->root, r->stand->tape, false, none, 1, &x);
    for (ptrdiff_t i = 0; i < r->steps; i++)
        as_model_step(r->stand->model, r->stand->tape, 1, &x);
}

static void assert_refuses(void (*body)(void *), void *ctx, const char *why)
{
    assert_int_equal(as_try(body, ctx), AS_REFUSED);
    if (!strstr(as_failure_text(), why))
        fail_msg("'%s' does not say '%s'", as_failure_text(), why);
}

static void refusals(void **state)
{
    struct stand unknown = new_stand("softmax", "learned", "0", 0), odd = new_stand("softmax", "rotary", "0", 9);
    struct stand learned = new_stand("softmax", "learned", "0", 9), turned = new_stand("softmax", "rotary", "0", 9);
    struct stand full = new_stand("softmax-full", "rotary", "0", 9);

    (void)state;
    assert_refuses(put_up, &unknown, "longest training sequence");
    odd.width = 12;
    assert_refuses(put_up, &odd, "odd");
    put_up(&learned);
    assert_int_equal(as_try(run_it, &(struct running){ &learned, 9, 0 }), AS_OK);
    assert_refuses(run_it, &(struct running){ &learned, 10, 0 }, "learned positions exist for 9 steps");
    assert_int_equal(as_try(run_it, &(struct running){ &learned, 1, 9 }), AS_OK);
    assert_refuses(run_it, &(struct running){ &learned, 1, 10 }, "asked for 10");
    put_up(&turned);
    assert_int_equal(as_try(run_it, &(struct running){ &turned, 100, 0 }), AS_OK);
    assert_refuses(run_it, &(struct running){ &turned, 1, 10 }, "for 9 steps when it streams");
    put_up(&full);
    assert_refuses(run_it, &(struct running){ &full, 1, 1 }, "cannot be streamed");
    take_down(&unknown);
    take_down(&odd);
    take_down(&learned);
    take_down(&turned);
    take_down(&full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_against_differences), cmocka_unit_test(graphs_against_reference),
        cmocka_unit_test(tiles_against_reference),        cmocka_unit_test(rows_of_all_lengths),
        cmocka_unit_test(fresh_gradients_are_written_whole),
        cmocka_unit_test(large_logits),                   cmocka_unit_test(same_bits_at_any_team),
        cmocka_unit_test(later_inputs_change_nothing_earlier), cmocka_unit_test(padding_changes_nothing_valid),
        cmocka_unit_test(gradients_one_at_a_time),        cmocka_unit_test(streaming_is_the_parallel_form),
        cmocka_unit_test(refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
