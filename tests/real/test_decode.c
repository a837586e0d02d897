/* Decoding by whole prefixes, and the heads that make blocks of it. */
#include "core/real/layer.h"
#include "../stand.h"

#include <assay/decode.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 12, MOST = 7, HEADS = 4 };

/* An untrained model, with weights large enough that what it says depends on what it reads, and one token that p_1 and
 * the heads all like, so that they agree now and then. */
static struct stand stand_new(const char *model, const char *mixer)
{
    const char *const set[][2] = { { "data.source", "digit-string" }, { "data.digits", "2..5" },
                                   { "data.spellings", "2" }, { "model", model }, { "mixer", mixer },
                                   { "width", "8" }, { "mixer.heads", "2" }, { "heads", "4" } };
    struct stand s = { 0 };
    struct as_weights w;

    stand_set(&s, sizeof set / sizeof *set, set);
    stand_open(&s, 3);
    w = as_model_store(s.model);
    for (ptrdiff_t i = 0; i < w.n; i++)
        w.w[i] += (real)as_normal((struct as_key){ 3, AS_ROLE_TEST_HARNESS, 0 }, (uint64_t)i);
    as_model_weight(s.model, "b_head").w[7] += R(50.0);
    stand_read(&s, AS_TEST, ROWS);
    return s;
}

static struct as_decoding exactly(int block) { return (struct as_decoding){ MOST, -1, block, 1, 1 }; }

static const real *output(const struct stand *s, int head, const struct as_node *y)
{
    for (int i = 0; i < s->model->n_outputs; i++)
        if (strcmp(s->model->output[i].name, as_say("head%d", head)) == 0)
            return s->model->output[i].node->x;
    assert_int_equal(head, 1);
    return y->x;
}

/* One row, one token a call, each call on an array of just that length. */
static void naive(struct stand *s, ptrdiff_t row, int32_t *token)
{
    struct as_tape *t = as_tape_new();
    int32_t x[64], target[64], length = s->batch->length[row];
    struct as_batch one = *s->batch;

    memcpy(x, s->batch->i[0] + row * s->batch->time, (size_t)length * sizeof *x);
    one.batch = 1;
    one.length = &length;
    one.i[0] = x;
    one.i[1] = target;
    memset(target, 0xff, sizeof target);
    as_tape_record(t, false);
    for (int k = 0; k < MOST; k++, length++) {
        struct as_node *y;
        ptrdiff_t best = 0;

        one.time = length;
        as_tape_reset(t);
        y = as_model_forward(s->model, t, &one, false, (struct as_key){ 0 });
        for (ptrdiff_t j = 1; j < y->dim[2]; j++)
            if (y->x[(length - 1) * y->dim[2] + j] > y->x[(length - 1) * y->dim[2] + best])
                best = j;
        x[length] = token[k] = (int32_t)best;
    }
    as_tape_free(t);
}

static void greedy_is_one_token_a_call(void **state)
{
    static const char *const mixer[] = { "softmax", "deltanet", NULL };
    int kinds = 0;
    (void)state;
    for (int k = 0; mixer[k]; k++) {
        struct stand s = stand_new("blockwise", mixer[k]);
        struct as_decoded d;
        int32_t token[MOST];

        as_decode_prompts(s.batch);
        d = as_decode(s.model, s.arena, s.batch, exactly(1));
        for (ptrdiff_t r = 0; r < ROWS; r++) {
            naive(&s, r, token);
            assert_memory_equal(token, d.token + r * MOST, sizeof token);
            assert_true(d.made[r] == MOST && d.steps[r] == MOST && d.calls[r] == MOST);
            kinds += token[0] != d.token[0];
        }
        stand_free(&s);
    }
    assert_true(kinds > 0);          /* rows do say different things */
}

static void blocks_give_the_tokens_of_greedy(void **state)
{
    struct stand s = stand_new("blockwise", "softmax");
    int longer = 0;
    (void)state;
    as_decode_prompts(s.batch);
    struct as_decoded g = as_decode(s.model, s.arena, s.batch, exactly(1));
    for (int k = 2; k <= HEADS; k++) {
        struct as_decoded d = as_decode(s.model, s.arena, s.batch, exactly(k));

        assert_memory_equal(g.token, d.token, ROWS * MOST * sizeof *d.token);
        for (ptrdiff_t r = 0; r < ROWS; r++) {
            assert_int_equal(d.made[r], MOST);
            assert_in_range(d.steps[r], (MOST + k - 1) / k, MOST);
            assert_in_range(d.calls[r], d.steps[r], d.steps[r] + 1);
            longer += d.steps[r] < MOST;
        }
    }
    assert_true(longer > 0);         /* some block had more than one token */
    stand_free(&s);
}

static void whole_blocks_when_everything_is_accepted(void **state)
{
    struct stand s = stand_new("blockwise", "softmax");
    struct as_decoding all = exactly(HEADS), forced = exactly(3);
    (void)state;
    as_decode_prompts(s.batch);
    all.top = 1000;
    forced.least = 3;
    struct as_decoded a = as_decode(s.model, s.arena, s.batch, all), f = as_decode(s.model, s.arena, s.batch, forced);
    for (ptrdiff_t r = 0; r < ROWS; r++) {
        assert_true(a.steps[r] == 2 && a.calls[r] == 3 && a.made[r] == MOST);       /* 4 and 3 */
        assert_true(f.steps[r] == 3 && f.calls[r] == 3 && f.made[r] == MOST);       /* 3, 3, and 1 without a call */
    }
    stand_free(&s);
}

/* The stop belongs to the sequence, ends it in the middle of a block, too, and nothing stands behind it. */
static void a_stop_ends_both_alike(void **state)
{
    struct stand s = stand_new("blockwise", "softmax");
    int early = 0;
    (void)state;
    as_decode_prompts(s.batch);
    struct as_decoded whole = as_decode(s.model, s.arena, s.batch, exactly(1));
    for (ptrdiff_t r = 0; r < ROWS; r++) {
        struct as_decoding one = exactly(1), four = exactly(HEADS);

        one.stop = four.stop = whole.token[r * MOST + 2];
        struct as_decoded g = as_decode(s.model, s.arena, s.batch, one), d = as_decode(s.model, s.arena, s.batch, four);
        assert_memory_equal(g.token, d.token, ROWS * MOST * sizeof *d.token);
        assert_memory_equal(g.made, d.made, ROWS * sizeof *d.made);
        assert_true(g.made[r] <= 3);
        for (ptrdiff_t q = 0; q < ROWS; q++)
            for (ptrdiff_t i = 0; i < MOST; i++) {
                bool stop = whole.token[q * MOST + i] == one.stop;

                assert_int_equal(g.token[q * MOST + i], i < g.made[q] ? whole.token[q * MOST + i] : -1);
                assert_true(!stop || i >= g.made[q] - 1);
                early += i < g.made[q] && stop && i < MOST - 1;
            }
    }
    assert_true(early > 0);
    stand_free(&s);
}

static void a_stop_ends_a_block_of_which_all_is_accepted(void **state)
{
    struct stand s = stand_new("blockwise", "softmax");
    struct as_decoding all = exactly(HEADS);
    (void)state;
    as_decode_prompts(s.batch);
    all.top = 1000;
    struct as_decoded whole = as_decode(s.model, s.arena, s.batch, all);
    for (ptrdiff_t r = 0; r < ROWS; r++) {
        all.stop = whole.token[r * MOST + 1];
        struct as_decoded d = as_decode(s.model, s.arena, s.batch, all);
        assert_int_equal(d.made[r], whole.token[r * MOST] == all.stop ? 1 : 2);
        assert_int_equal(d.token[r * MOST + d.made[r] - 1], all.stop);
    }
    stand_free(&s);
}

static void prompts_end_where_targets_begin(void **state)
{
    struct stand s = stand_new("blockwise", "softmax");
    (void)state;
    as_decode_prompts(s.batch);
    for (ptrdiff_t r = 0; r < ROWS; r++)         /* the last token of a prompt is `is`, 10 S + 1 */
        assert_int_equal(s.batch->i[0][r * s.batch->time + s.batch->length[r] - 1], 21);
    stand_free(&s);
}

static void a_joined_example_goes_on_from_its_prompt(void **state)
{
    struct stand s = stand_new("blockwise", "softmax");
    int32_t x[64], target[64];
    (void)state;
    as_decode_prompts(s.batch);
    struct as_decoded d = as_decode(s.model, s.arena, s.batch, exactly(1));
    ptrdiff_t n = s.batch->length[1], length = as_decode_join(s.batch, &d, 1, x, target);
    assert_int_equal(length, n + MOST - 1);
    for (ptrdiff_t t = 0; t < length; t++) {
        assert_int_equal(x[t], t < n ? s.batch->i[0][s.batch->time + t] : d.token[MOST + t - n]);
        assert_int_equal(target[t], t < n - 1 ? -1 : d.token[MOST + t - n + 1]);
    }
    stand_free(&s);
}

/* --- refusals ---------------------------------------------------------------------------------------------------- */

struct asking { struct stand *s; struct as_decoding how; };

static void ask(void *ctx)
{
    struct asking *q = ctx;
    as_decode(q->s->model, q->s->arena, q->s->batch, q->how);
}

static void refuses(struct stand *s, struct as_decoding how, const char *word)
{
    struct asking q = { s, how };
    assert_int_equal(as_try(ask, &q), AS_REFUSED);
    if (!strstr(as_failure_text(), word))
        fail_msg("'%s' does not speak of %s", as_failure_text(), word);
}

static void what_cannot_be_is_refused(void **state)
{
    struct stand s = stand_new("blockwise", "softmax"), back = stand_new("blockwise", "softmax-full");
    struct as_decoding how = exactly(2);
    (void)state;
    as_decode_prompts(s.batch);
    as_decode_prompts(back.batch);
    refuses(&s, exactly(HEADS + 1), "head5");
    refuses(&s, exactly(0), "block");
    how.least = 3;
    refuses(&s, how, "least");
    refuses(&back, exactly(1), "later steps");
    s.batch->length[3] = 0;
    refuses(&s, exactly(1), "prompt 3");
    stand_free(&s);
    stand_free(&back);
}

/* --- the model --------------------------------------------------------------------------------------------------- */

/* The heads share all but their rows of W_2 and b_2: when those of two are exchanged, so are their outputs. */
static void heads_are_alike(void **state)
{
    struct stand s = stand_new("blockwise", "softmax");
    struct as_tape *t = as_tape_new(), *u = as_tape_new();
    struct as_named_weight w = as_model_weight(s.model, "W_2"), b = as_model_weight(s.model, "b_2");
    ptrdiff_t half = w.dim[0] / HEADS * w.dim[1], n;
    const real *first, *third;
    (void)state;
    struct as_node *y = as_model_forward(s.model, t, s.batch, false, (struct as_key){ 0 });
    n = as_node_size(y);
    first = output(&s, 1, y);
    third = output(&s, 3, y);
    for (ptrdiff_t i = 0; i < half + 8; i++) {
        real *from = i < half ? w.w + i : b.w + i - half, *to = from + 2 * (i < half ? half : 8), was = *from;
        *from = *to;
        *to = was;
    }
    y = as_model_forward(s.model, u, s.batch, false, (struct as_key){ 0 });
    assert_memory_equal(first, output(&s, 3, y), (size_t)n * sizeof *first);
    assert_memory_equal(third, output(&s, 1, y), (size_t)n * sizeof *first);
    assert_true(memcmp(first, third, (size_t)n * sizeof *first) != 0);
    as_tape_free(t);
    as_tape_free(u);
    stand_free(&s);
}

/* The mean of -log p over a row's steps at which head i has something to learn, the mean over rows; from its logits. */
static double by_hand(const struct stand *s, const real *logits, ptrdiff_t classes, int i)
{
    double mean = 0;
    for (ptrdiff_t r = 0; r < ROWS; r++) {
        double sum = 0, count = 0;
        for (ptrdiff_t t = 0; t + i - 1 < s->batch->length[r]; t++) {
            const int32_t *target = s->batch->i[1] + r * s->batch->time + t;
            const real *x = logits + (r * s->batch->time + t) * classes;
            double total = 0;
            if (target[0] < 0)
                continue;
            for (ptrdiff_t j = 0; j < classes; j++)
                total += exp((double)x[j] - (double)x[target[i - 1]]);
            sum += log(total);
            count++;
        }
        mean += count > 0 ? sum / count / ROWS : 0;
    }
    return mean;
}

static double heads_loss(const struct stand *s)
{
    const struct as_node *loss = model_extra_loss(s->model, "heads");
    double mean = 0;
    assert_non_null(loss);
    assert_true(loss->rank == 1 && loss->dim[0] == ROWS);
    for (ptrdiff_t r = 0; r < ROWS; r++)
        mean += (double)loss->x[r] / ROWS;
    return mean;
}

static void the_loss_is_that_of_tokens_further_on(void **state)
{
    struct stand s = stand_new("blockwise", "softmax");
    struct as_tape *t = as_tape_new();
    double want[HEADS], mean = 0, slack = 1000 * (double)AS_REAL_EPSILON;
    int seen[HEADS] = { 0 };
    (void)state;
    struct as_node *y = as_model_forward(s.model, t, s.batch, false, (struct as_key){ 0 });
    for (int i = 1; i <= HEADS; i++) {
        want[i - 1] = by_hand(&s, output(&s, i, y), y->dim[2], i);
        mean += want[i - 1] / HEADS;
    }
    assert_true(fabs(heads_loss(&s) - mean) < slack * mean);
    for (uint64_t step = 0; step < 60; step++) {         /* training: one head a batch, each with a quarter's chance */
        double one;
        int which = 0;
        as_tape_reset(t);
        as_model_forward(s.model, t, s.batch, true, (struct as_key){ 3, AS_ROLE_DROPOUT, step });
        one = heads_loss(&s);
        while (which < HEADS && !(fabs(one - want[which]) < slack * want[which]))
            which++;
        assert_in_range(which, 0, HEADS - 1);
        seen[which]++;
    }
    for (int i = 0; i < HEADS; i++)
        assert_in_range(seen[i], 4, 30);
    as_tape_free(t);
    stand_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_is_one_token_a_call),
        cmocka_unit_test(blocks_give_the_tokens_of_greedy),
        cmocka_unit_test(whole_blocks_when_everything_is_accepted),
        cmocka_unit_test(a_stop_ends_both_alike),
        cmocka_unit_test(a_stop_ends_a_block_of_which_all_is_accepted),
        cmocka_unit_test(prompts_end_where_targets_begin),
        cmocka_unit_test(a_joined_example_goes_on_from_its_prompt),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(heads_are_alike),
        cmocka_unit_test(the_loss_is_that_of_tokens_further_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
