/* test_parallel.c: as_parallel() calls each piece once at any team; each member begins with its own share, and takes from
 * those of others when it has ended it.
 */
#include <assay/parallel.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <omp.h>
#include <sched.h>
#include <time.h>
#include <cmocka.h>

enum { MOST = 700, PATIENCE = 20 };             /* pieces; seconds that a piece waits for others */

static void count(void *ctx, ptrdiff_t i)
{
    atomic_fetch_add((atomic_int *)ctx + i, 1);
}

static void each_piece_once(void **state)
{
    static atomic_int seen[MOST + 1];
    static const int teams[] = { 1, 2, 3, 7, 64, 65, 70 };
    static const double costs[] = { 1.0, 40000.0, 1e9 };        /* one thread, handfuls of pieces, one by one */

    (void)state;
    for (size_t t = 0; t < sizeof teams / sizeof teams[0]; t++) {
        as_threads_set(teams[t]);
        for (ptrdiff_t n = 0; n <= MOST; n = n < 12 ? n + 1 : 2 * n + 5)
            for (size_t c = 0; c < sizeof costs / sizeof costs[0]; c++) {
                for (int i = 0; i <= MOST; i++)
                    atomic_store(&seen[i], 0);
                as_parallel(n, costs[c], count, seen);
                for (int i = 0; i <= MOST; i++)
                    if (atomic_load(&seen[i]) != (i < n))
                        fail_msg("%d threads, %td pieces, cost %g: piece %d was called %d times", teams[t], n, costs[c],
                                 i, atomic_load(&seen[i]));
            }
    }
    as_threads_set(1);
}

struct meeting { atomic_int here, done; int member[4]; atomic_bool late; };

/* Until *count is enough; false when nobody came. */
static bool wait_for(atomic_int *count, int enough)
{
    time_t start = time(NULL);

    while (atomic_load(count) < enough) {
        if (time(NULL) - start > PATIENCE)
            return false;
        sched_yield();
    }
    return true;
}

/* The first piece of each half waits for the other, so both members have begun. */
static void meet(void *ctx, ptrdiff_t i)
{
    struct meeting *m = ctx;

    m->member[i] = omp_get_thread_num();
    if (i % 2)
        return;
    atomic_fetch_add(&m->here, 1);
    if (!wait_for(&m->here, 2))
        atomic_store(&m->late, true);
}

static void a_member_begins_with_its_share(void **state)
{
    (void)state;
    as_threads_set(2);
    for (int round = 0; round < 200; round++) {
        struct meeting m = { .member = { -1, -1, -1, -1 } };
        as_parallel(4, 1e9, meet, &m);
        assert_false(atomic_load(&m.late));
        assert_int_equal(m.member[0], 0);
        assert_int_equal(m.member[2], 1);
    }
    as_threads_set(1);
}

/* Piece 0 holds up its member until all others are done, those of its own share too. */
static void hold_up(void *ctx, ptrdiff_t i)
{
    struct meeting *m = ctx;

    if (i == 0 && !wait_for(&m->done, 8))
        atomic_store(&m->late, true);
    atomic_fetch_add(&m->done, 1);
}

static void a_share_is_taken_over(void **state)
{
    (void)state;
    for (int threads = 2; threads <= 4; threads++) {
        struct meeting m = { .here = 0 };
        as_threads_set(threads);
        as_parallel(9, 1e9, hold_up, &m);
        assert_false(atomic_load(&m.late));
        assert_int_equal(atomic_load(&m.done), 9);
    }
    as_threads_set(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_piece_once),
                                        cmocka_unit_test(a_member_begins_with_its_share),
                                        cmocka_unit_test(a_share_is_taken_over) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
