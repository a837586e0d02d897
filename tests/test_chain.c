/* test_chain.c: as_chain() keeps its order at any team: links one at a time and in turn; each piece of each lane once, in
 * turn within the lane and one at a time, before its link or after it.
 */
#include <assay/error.h>
#include <assay/parallel.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { MOST = 300 };

struct seen {
    bool piece_first;
    int lanes, heavy;                       /* every so many pieces take longer than a link; 0: links do */
    atomic_int at[AS_CHAIN_LANES];          /* pieces of a lane that began and that ended: even when none is under way */
    atomic_int linked, under_way, wrong;
    atomic_long spent;
};

static void spend(struct seen *s, int long_one)
{
    for (int i = 0; i < (long_one ? 20000 : 200); i++)
        atomic_fetch_add_explicit(&s->spent, 1, memory_order_relaxed);
}

static void piece(void *ctx, int lane, ptrdiff_t i)
{
    struct seen *s = ctx;

    if (atomic_fetch_add(&s->at[lane], 1) != 2 * (int)i)
        atomic_fetch_add(&s->wrong, 1);                 /* out of turn, a second time, or beside another */
    if (!s->piece_first && atomic_load(&s->linked) <= i)
        atomic_fetch_add(&s->wrong, 1);                 /* before its link ended */
    spend(s, s->heavy && (i + lane) % s->heavy == 0);
    atomic_fetch_add(&s->at[lane], 1);
}

static void link_one(void *ctx, ptrdiff_t i)
{
    struct seen *s = ctx;

    if (atomic_fetch_add(&s->under_way, 1) != 0)
        atomic_fetch_add(&s->wrong, 1);                 /* two links at a time */
    if (atomic_load(&s->linked) != i)
        atomic_fetch_add(&s->wrong, 1);                 /* out of turn */
    for (int l = 0; s->piece_first && l < s->lanes; l++)
        if (atomic_load(&s->at[l]) < 2 * (int)i + 2)
            atomic_fetch_add(&s->wrong, 1);             /* before one of its pieces ended */
    spend(s, !s->heavy && i % 3 == 0);
    atomic_fetch_sub(&s->under_way, 1);
    atomic_fetch_add(&s->linked, 1);
}

static void check_chain(int team, int n, struct seen s)
{
    as_threads_set(team);
    as_chain(n, s.lanes, 1e9, piece, link_one, s.piece_first, &s);
    assert_int_equal(atomic_load(&s.wrong), 0);
    assert_int_equal(atomic_load(&s.linked), n);
    for (int l = 0; l < AS_CHAIN_LANES; l++)
        assert_int_equal(atomic_load(&s.at[l]), l < s.lanes ? 2 * n : 0);
}

static void chains_keep_their_order(void **state)
{
    static const int lengths[] = { 0, 1, 2, 3, 50, MOST }, heavy[] = { 0, 1, 4 }, lanes[] = { 0, 1, 3, AS_CHAIN_LANES };

    (void)state;
    for (int team = 1; team <= 4; team++)
        for (int n = 0; n < 6; n++)
            for (int first = 0; first < 2; first++)
                for (int h = 0; h < 3; h++)
                    for (int l = 0; l < 4; l++)
                        check_chain(team, lengths[n],
                                    (struct seen){ .piece_first = first, .heavy = heavy[h], .lanes = lanes[l] });
    as_threads_set(1);
}

static void too_many(void *ctx)
{
    as_chain(MOST, AS_CHAIN_LANES + 1, 1e9, piece, link_one, 0, ctx);
}

static void more_lanes_than_there_can_be(void **state)
{
    struct seen s = { 0 };

    (void)state;
    assert_int_equal(as_try(too_many, &s), AS_FAILED);
    assert_int_equal(atomic_load(&s.linked), 0);
}

/* Inside a region a chain runs on the member that asks for it. */
static void nested(void *ctx, ptrdiff_t i)
{
    struct seen *s = (struct seen *)ctx + i;

    as_chain(MOST, s->lanes, 1e9, piece, link_one, s->piece_first, s);
}

static void chains_run_inside_a_region(void **state)
{
    static struct seen s[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        s[i] = (struct seen){ .piece_first = i % 2, .lanes = 2 };
    as_threads_set(3);
    as_parallel(4, 1e9, nested, s);
    as_threads_set(1);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(atomic_load(&s[i].wrong), 0);
        assert_int_equal(atomic_load(&s[i].linked), MOST);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(chains_keep_their_order),
                                        cmocka_unit_test(more_lanes_than_there_can_be),
                                        cmocka_unit_test(chains_run_inside_a_region) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
