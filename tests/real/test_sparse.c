/* test_sparse.c: masks over several arrays against sorting, with ties, zeros of both signs and what is no number. */
#include <assay/sparse.h>

#include <assay/random.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

enum { PARTS = 3, MOST = 600 };

struct one { real score; int part; ptrdiff_t place; };

/* Largest first, NaN last; the earlier one among equals. */
static int by_score(const void *a, const void *b)
{
    const struct one *x = a, *y = b;
    int nans = isnan(x->score) - isnan(y->score);

    if (nans)
        return nans;
    if (x->score != y->score && !isnan(x->score))
        return x->score > y->score ? -1 : 1;
    if (x->part != y->part)
        return x->part - y->part;
    return x->place < y->place ? -1 : 1;
}

/* few: so many different values, with both zeros among them; 0: normal draws. */
static void against_sorting(const ptrdiff_t *n, uint32_t few, ptrdiff_t keep, int nans)
{
    static real score[PARTS][MOST], mask[PARTS][MOST], want[PARTS][MOST];
    static struct one all[PARTS * MOST];
    struct as_scores part[PARTS];
    ptrdiff_t count = 0, ones = 0;

    for (int p = 0; p < PARTS; p++) {
        struct as_key key = { 5, AS_ROLE_TEST_HARNESS, (uint64_t)p };

        part[p] = (struct as_scores){ n[p], score[p], mask[p] };
        for (ptrdiff_t i = 0; i < n[p]; i++) {
            uint64_t at = (uint64_t)i;

            score[p][i] = few ? (real)((double)as_below(key, at, few) - few / 2) : (real)as_normal(key, at);
            if (score[p][i] == R(0.0) && i % 2)
                score[p][i] = -R(0.0);
            if (nans && i % 7 == 0)
                score[p][i] = (real)NAN;
            want[p][i] = 0;
            all[count++] = (struct one){ score[p][i], p, i };
        }
    }
    qsort(all, (size_t)count, sizeof *all, by_score);
    for (ptrdiff_t k = 0; k < keep && k < count; k++)
        want[all[k].part][all[k].place] = 1;
    as_keep_largest(PARTS, part, keep);
    for (int p = 0; p < PARTS; p++)
        for (ptrdiff_t i = 0; i < n[p]; i++) {
            assert_true(mask[p][i] == want[p][i]);
            ones += mask[p][i] > 0;
        }
    assert_int_equal(ones, keep < 0 ? 0 : keep < count ? keep : count);
}

static void the_largest_stay(void **state)
{
    static const ptrdiff_t sizes[][PARTS] = { { 600, 40, 301 }, { 1, 0, 1 }, { 0, 17, 255 } };
    static const ptrdiff_t keeps[] = { -1, 0, 1, 2, 16, 97, 130, 272, 470, 900, 941, 5000 };

    (void)state;
    for (int s = 0; s < 3; s++)
        for (int k = 0; k < 12; k++)
            for (int nans = 0; nans < 2; nans++) {
                against_sorting(sizes[s], 0, keeps[k], nans);
                against_sorting(sizes[s], 5, keeps[k], nans);
            }
}

static void a_mask_may_take_the_place_of_its_scores(void **state)
{
    real x[] = { R(3.0), -R(1.0), R(7.0), R(0.5) };
    struct as_scores part = { 4, x, x };

    (void)state;
    as_keep_largest(1, &part, 2);
    assert_true(x[0] == 1 && x[1] == 0 && x[2] == 1 && x[3] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_stay),
        cmocka_unit_test(a_mask_may_take_the_place_of_its_scores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
