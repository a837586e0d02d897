/* Operators that move, pick and pool: gradients, places of the values, lengths; and the losses' gradients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../gradcheck.h"

#define ONE(name, call) \
    static struct as_node *name(struct as_tape *t, struct as_node *const *in) { return call; }
#define X in[0]
#define D(...) (const ptrdiff_t[]){ __VA_ARGS__ }

static struct as_node *ints(struct as_tape *t, int rank, const ptrdiff_t *dims, const int32_t *values)
{
    struct as_node *a = as_node_ints(t, rank, dims);
    memcpy(a->i, values, (size_t)as_node_size(a) * sizeof *a->i);
    return a;
}

static const int32_t picks[] = { 2, 0, 2, 4, 1, 2 }, classes[] = { 1, -1, 6, 0, 3, 3 };
static const int32_t lengths[] = { 5, 0, 3 };

ONE(reshape_of, as_reshape(t, as_square(t, X), 2, D(-1, 5)))
ONE(reshape_two, as_mul(t, as_reshape(t, X, 1, D(21)), as_reshape(t, as_square(t, X), 1, D(-1))))
ONE(permute_of, as_permute(t, X, (int[]){ 2, 0, 1 }))
ONE(permute_heads, as_permute(t, X, (int[]){ 0, 2, 1, 3 }))
ONE(swap_last, as_swap(t, X, -1, -2))
ONE(slice_of, as_slice(t, X, 1, 2, 3))
ONE(slices, as_mul(t, as_slice(t, X, -1, 0, 3), as_slice(t, X, -1, 2, 3)))
ONE(concat_of, as_concat(t, 3, (struct as_node *[]){ in[0], in[1], in[0] }, 1))
ONE(concat_last, as_concat(t, 2, in, -1))
ONE(stack_of, as_stack(t, 2, in, 1))
ONE(stack_end, as_stack(t, 2, in, -1))
ONE(pad_of, as_pad(t, X, 1, 2, 3, 0.5))
ONE(pad_last, as_pad(t, X, -1, 0, 1, 0))
ONE(shift_on, as_time_shift(t, X, 2, NULL))
ONE(shift_back, as_time_shift(t, X, -1, in[1]))
ONE(shift_fill, as_time_shift(t, X, 1, in[1]))
ONE(flip_of, as_flip(t, X))
ONE(repeat_of, as_repeat(t, X, 1, 5))
ONE(gather_of, as_gather(t, X, ints(t, 2, D(2, 3), picks)))
ONE(embed_of, as_embed(t, ints(t, 2, D(3, 2), picks), X))
ONE(scatter_of, as_scatter_add(t, X, ints(t, 2, D(2, 3), picks), 6))
ONE(topk_of, as_topk(t, X, 3, NULL))
ONE(mean_time, as_time_mean(t, X))
ONE(last_time, as_time_last(t, X))
ONE(entropy_of, as_cross_entropy(t, X, ints(t, 2, D(2, 3), classes)))
ONE(bernoulli_of, as_bernoulli_nll(t, X, in[1]))
ONE(squared_of, as_squared_error(t, X, in[1]))

#define S(...) { sizeof((ptrdiff_t[]){ __VA_ARGS__ }) / sizeof(ptrdiff_t), { __VA_ARGS__ }, 0, 0, false }
#define IN(lo, hi, ...) { sizeof((ptrdiff_t[]){ __VA_ARGS__ }) / sizeof(ptrdiff_t), { __VA_ARGS__ }, lo, hi, false }
#define SMOOTH(f, ...) { #f, f, { __VA_ARGS__ }, NULL, false, false }
#define SEQ(f, ...) { #f, f, { __VA_ARGS__ }, lengths, false, false }
#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static const struct gc_case moves[] = {
    SMOOTH(reshape_of, S(3, 5, 7)), SMOOTH(reshape_two, S(3, 7)), SMOOTH(permute_of, S(3, 5, 7)),
    SMOOTH(permute_of, S(2, 67, 41)), SMOOTH(permute_heads, S(2, 5, 3, 7)), SMOOTH(swap_last, S(3, 37, 70)),
    SMOOTH(slice_of, S(2, 7, 3)), SMOOTH(slices, S(3, 7)), SMOOTH(concat_of, S(2, 3, 5), S(2, 1, 5)),
    SMOOTH(concat_last, S(3, 7), S(3, 2)), SMOOTH(stack_of, S(3, 7), S(3, 7)), SMOOTH(stack_end, S(3, 7), S(3, 7)),
    SMOOTH(pad_of, S(2, 3, 5)), SMOOTH(pad_last, S(2, 3)), SMOOTH(repeat_of, S(3, 1, 7)), SMOOTH(repeat_of, S(3, 1)),
};

static const struct gc_case times[] = {
    SMOOTH(shift_on, S(3, 7, 2)), SEQ(shift_on, S(3, 7, 2)), SEQ(shift_back, S(3, 7, 2), S(2)),
    SMOOTH(shift_fill, S(3, 7, 2, 5), S(2, 5)), SMOOTH(flip_of, S(3, 7, 2)), SEQ(flip_of, S(3, 7, 2)),
    SMOOTH(mean_time, S(3, 7, 2)), SEQ(mean_time, S(3, 7, 2)), SMOOTH(last_time, S(3, 7, 2)), SEQ(last_time, S(3, 7, 2)),
};

static const struct gc_case indexed[] = {
    SMOOTH(gather_of, S(5, 7)), SMOOTH(gather_of, S(5, 7, 30)), SMOOTH(gather_of, S(5)), SMOOTH(embed_of, S(5, 3)),
    SMOOTH(scatter_of, S(2, 3, 7)), SMOOTH(scatter_of, S(2, 3)), { "topk_of", topk_of, { S(3, 7) }, NULL, true, false },
};

static const struct gc_case losses[] = {
    SMOOTH(entropy_of, S(2, 3, 7)), SMOOTH(entropy_of, S(2, 3, 300)), SMOOTH(bernoulli_of, S(2, 3, 7), IN(0, 1, 2, 3, 7)),
    SMOOTH(bernoulli_of, S(300), IN(0, 1, 300)), SMOOTH(squared_of, S(2, 3, 7), S(2, 3, 7)),
};

#define GRADIENTS(test, table)                                  \
    static void test(void **state)                              \
    {                                                           \
        (void)state;                                            \
        assert_int_equal(gc_check(table, COUNT(table)), 0);     \
    }

GRADIENTS(test_moves, moves)
GRADIENTS(test_times, times)
GRADIENTS(test_indexed, indexed)
GRADIENTS(test_losses, losses)

/* --- where the values go ---------------------------------------------------------------------------------- */

/* 0, 1, 2, ... */
static struct as_node *counted(struct as_tape *t, int rank, const ptrdiff_t *dims)
{
    struct as_node *a = as_node_new(t, rank, dims);
    for (ptrdiff_t i = 0; i < as_node_size(a); i++)
        a->x[i] = (real)i;
    return a;
}

static void holds(const struct as_node *a, ptrdiff_t n, const double *values)
{
    assert_int_equal(as_node_size(a), n);
    for (ptrdiff_t i = 0; i < n; i++)
        if (!((double)a->x[i] == values[i]))
            fail_msg("place %td holds %g, not %g", i, (double)a->x[i], values[i]);
}
#define HOLDS(a, ...) holds(a, sizeof((double[]){ __VA_ARGS__ }) / sizeof(double), (double[]){ __VA_ARGS__ })

static void test_places(void **state)
{
    (void)state;
    struct as_tape *t = as_tape_new();
    struct as_node *a = counted(t, 2, D(2, 3)), *row = counted(t, 2, D(2, 1)), *at;
    HOLDS(as_swap(t, a, 0, 1), 0, 3, 1, 4, 2, 5);
    HOLDS(as_slice(t, a, -1, 1, 2), 1, 2, 4, 5);
    HOLDS(as_concat(t, 2, (struct as_node *[]){ a, row }, 1), 0, 1, 2, 0, 3, 4, 5, 1);
    HOLDS(as_stack(t, 2, (struct as_node *[]){ a, a }, 0), 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5);
    HOLDS(as_stack(t, 2, (struct as_node *[]){ row, row }, -1), 0, 0, 1, 1);
    HOLDS(as_pad(t, a, 1, 1, 0, -1), -1, 0, 1, 2, -1, 3, 4, 5);
    HOLDS(as_repeat(t, row, 1, 3), 0, 0, 0, 1, 1, 1);
    HOLDS(as_time_shift(t, a, 1, NULL), 0, 0, 1, 0, 3, 4);
    HOLDS(as_time_shift(t, a, -1, NULL), 1, 2, 0, 4, 5, 0);
    HOLDS(as_flip(t, a), 2, 1, 0, 5, 4, 3);
    HOLDS(as_scatter_add(t, a, ints(t, 1, D(2), (int32_t[]){ 1, 1 }), 2), 0, 0, 0, 3, 5, 7);
    HOLDS(as_add(t, a, row), 0, 1, 2, 4, 5, 6);
    HOLDS(as_cumsum(t, a, 0), 0, 1, 2, 3, 5, 7);
    HOLDS(as_cumprod(t, a, 1), 0, 0, 0, 3, 12, 60);
    struct as_node *tied = as_node_new(t, 1, D(5));
    memcpy(tied->x, (real[]){ 2, 7, 7, 1, 2 }, 5 * sizeof(real));
    HOLDS(as_topk(t, tied, 4, &at), 7, 7, 2, 2);
    assert_memory_equal(at->i, ((int32_t[]){ 1, 2, 0, 4 }), 4 * sizeof(int32_t));
    struct as_node *whole = ints(t, 2, D(2, 3), picks), *turned = as_swap(t, whole, 0, 1);
    assert_memory_equal(turned->i, ((int32_t[]){ 2, 4, 0, 1, 2, 2 }), 6 * sizeof(int32_t));
    assert_memory_equal(as_slice(t, whole, 1, 1, 2)->i, ((int32_t[]){ 0, 2, 1, 2 }), 4 * sizeof(int32_t));
    as_tape_free(t);
}

/* Lengths go with the first two sizes, and say what is valid. */
static void test_lengths(void **state)
{
    (void)state;
    static const int32_t two[] = { 2, 0 };
    struct as_tape *t = as_tape_new();
    struct as_node *a = counted(t, 3, D(2, 3, 1)), *vector = counted(t, 1, D(1));
    a->length = two;
    assert_ptr_equal(as_add(t, vector, as_exp(t, a))->length, two);
    assert_ptr_equal(as_reshape(t, a, 4, D(2, 3, 1, 1))->length, two);
    assert_null(as_reshape(t, a, 2, D(3, 2))->length);
    assert_ptr_equal(as_sum(t, a, -1, false)->length, two);
    assert_null(as_sum(t, a, 0, false)->length);
    assert_null(as_swap(t, a, 0, 1)->length);
    assert_null(as_slice(t, a, 1, 0, 2)->length);
    assert_ptr_equal(as_concat(t, 2, (struct as_node *[]){ a, a }, 2)->length, two);
    assert_ptr_equal(as_layernorm(t, a, NULL, NULL, 1e-5)->length, two);
    assert_null(as_time_mean(t, a)->length);
    struct as_node *index = ints(t, 2, D(2, 3), (int32_t[]){ 1, 0, 3, 3, 2, 1 });
    index->length = two;
    assert_ptr_equal(as_embed(t, index, counted(t, 2, D(4, 5)))->length, two);
    HOLDS(as_flip(t, a), 1, 0, 2, 3, 4, 5);
    HOLDS(as_time_mean(t, a), 0.5, 0);
    HOLDS(as_time_last(t, a), 1, 0);
    HOLDS(as_time_shift(t, a, -1, NULL), 1, 0, 0, 0, 0, 0);
    as_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves), cmocka_unit_test(test_times), cmocka_unit_test(test_indexed),
        cmocka_unit_test(test_losses), cmocka_unit_test(test_places), cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
