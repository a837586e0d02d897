/* test_chain.c: as_chain() keeps its order at any team: links one at a time and in turn, each piece once and all of it
 * before its link, or all of it after.
 */
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
    int heavy;                                          /* every so many pieces take longer than a link; 0: links do */
    atomic_int pieces[MOST], linked, under_way, wrong;  /* pieces: 0, 1 under way, 2 ended */
    atomic_long spent;
};

static void spend(struct seen *s, int long_one)
{
    for (int i = 0; i < (long_one ? 20000 : 200); i++)
        atomic_fetch_add_explicit(&s->spent, 1, memory_order_relaxed);
}

static void piece(void *ctx, ptrdiff_t i)
{
    struct seen *s = ctx;

    if (atomic_fetch_add(&s->pieces[i], 1) != 0)
        atomic_fetch_add(&s->wrong, 1);                 /* a second time */
    if (!s->piece_first && atomic_load(&s->linked) <= i)
        atomic_fetch_add(&s->wrong, 1);                 /* before its link ended */
    spend(s, s->heavy && i % s->heavy == 0);
    atomic_fetch_add(&s->pieces[i], 1);
}

static void link_one(void *ctx, ptrdiff_t i)
{
    struct seen *s = ctx;

    if (atomic_fetch_add(&s->under_way, 1) != 0)
        atomic_fetch_add(&s->wrong, 1);                 /* two links at a time */
    if (atomic_load(&s->linked) != i)
        atomic_fetch_add(&s->wrong, 1);                 /* out of turn */
    if (s->piece_first && atomic_load(&s->pieces[i]) != 2)
        atomic_fetch_add(&s->wrong, 1);                 /* before its piece ended */
    spend(s, !s->heavy && i % 3 == 0);
    atomic_fetch_sub(&s->under_way, 1);
    atomic_fetch_add(&s->linked, 1);
}

static void chains_keep_their_order(void **state)
{
    static const int lengths[] = { 0, 1, 2, 3, 50, MOST }, heavy[] = { 0, 1, 4 };

    (void)state;
    for (int team = 1; team <= 4; team++)
        for (int n = 0; n < 6; n++)
            for (int first = 0; first < 2; first++)
                for (int h = 0; h < 3; h++) {
                    struct seen s = { .piece_first = first, .heavy = heavy[h] };

                    as_threads_set(team);
                    as_chain(lengths[n], 1e9, piece, link_one, first, &s);
                    assert_int_equal(atomic_load(&s.wrong), 0);
                    assert_int_equal(atomic_load(&s.linked), lengths[n]);
                    for (int i = 0; i < MOST; i++)
                        assert_int_equal(atomic_load(&s.pieces[i]), i < lengths[n] ? 2 : 0);
                }
    as_threads_set(1);
}

/* Inside a region a chain runs on the member that asks for it. */
static void nested(void *ctx, ptrdiff_t i)
{
    struct seen *s = (struct seen *)ctx + i;

    as_chain(MOST, 1e9, piece, link_one, s->piece_first, s);
}

static void chains_run_inside_a_region(void **state)
{
    static struct seen s[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        s[i].piece_first = i % 2;
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
                                        cmocka_unit_test(chains_run_inside_a_region) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
