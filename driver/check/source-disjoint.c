/* source-disjoint: test data do not come from the training stream. Promised disjoint: 2,000 inputs of each split, under
 * several seeds, share none. Otherwise: short inputs may meet by chance, so the share of test (and validation) inputs that
 * are also among 2,000 training inputs of the same seed is compared with that among those of a seed that they have
 * nothing to do with.
 */
#include "source.h"

#include <math.h>
#include <stdlib.h>

enum { N = 2000 };

static int by_value(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Hashes of N inputs, sorted. seeds: how many take turns. */
static bool inputs(struct check_run *r, struct source_try *t, enum as_split split, uint64_t seed, uint64_t seeds,
                   uint64_t *hash)
{
    for (uint64_t i = 0; i < N; i++) {
        if (!source_make(r, t, split, seed + i % seeds, i, 0x55))
            return false;
        hash[i] = source_hash(t, 1);
    }
    qsort(hash, N, sizeof *hash, by_value);
    return true;
}

static int shared(const uint64_t *a, const uint64_t *b)
{
    int n = 0;
    for (int i = 0; i < N; i++)
        n += bsearch(&a[i], b, N, sizeof *b, by_value) != NULL;
    return n;
}

static void promised(struct check_run *r, struct source_try *t)
{
    static uint64_t hash[AS_SPLITS][N];
    for (int s = 0; s < AS_SPLITS; s++)
        if (!inputs(r, t, (enum as_split)s, r->seed + (uint64_t)s * 3, 2, hash[s]))
            return;
    for (int a = 0; a < AS_SPLITS && !r->failures; a++) {
        int b = (a + 1) % AS_SPLITS, n = shared(hash[a], hash[b]);
        check_did(r);
        if (n)
            check_fail(r, "%s, %d of %d inputs of the %s split are inputs of the %s split as well; it promises that splits "
                          "are disjoint", source_text(t), n, N, source_split_name((enum as_split)a),
                       source_split_name((enum as_split)b));
    }
}

static void by_chance(struct check_run *r, struct source_try *t)
{
    static uint64_t train[N], stranger[N], other[N];
    if (!inputs(r, t, AS_TRAIN, r->seed, 1, train) || !inputs(r, t, AS_TRAIN, r->seed + 1000, 1, stranger))
        return;
    for (int s = AS_VALID; s <= AS_TEST && !r->failures; s++) {
        if (!inputs(r, t, (enum as_split)s, r->seed, 1, other))
            return;
        int same = shared(other, train), chance = shared(other, stranger);
        check_did(r);
        if (same > chance + 0.02 * N + 5 * sqrt((double)chance))
            check_fail(r, "%s, %d of %d %s inputs are among the training inputs of the same seed, where %d are by chance; "
                          "draw from the key that comes with the split", source_text(t), same, N,
                       source_split_name((enum as_split)s), chance);
    }
}

static void splits(struct check_run *r, struct source_try *t)
{
    if (t->setting)                      /* the defaults only: 2,000 examples a time */
        return;
    if (t->source->disjoint)
        promised(r, t);
    else
        by_chance(r, t);
}

static void run(struct check_run *r) { source_each(r, splits); }

const struct as_check AS_CHECK(source_disjoint) = {
    .name = "source-disjoint", .of = CHECK_SOURCE,
    .proves = "splits promised disjoint share no input; others meet no more often than strangers do",
    .cannot = "near duplicates, and overlap rarer than one in 2,000",
    .run = run,
};
