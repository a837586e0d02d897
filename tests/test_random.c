/* test_random.c: Philox against published answers, moments, bounds, independence of roles and streams. */
#include "core/random_private.h"
#include <assay/random.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* The lines "philox4x32 10" of kat_vectors, distributed with Random123 (D. E. Shaw Research): counter, key, answer. */
static const uint32_t known[][10] = {
    { 0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 },
    { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6,
      0x6d5451fd },
    { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
      0x24126ea1 },
};

static uint64_t join(uint32_t low, uint32_t high)
{
    return (uint64_t)high << 32 | low;
}

static void philox_known_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const uint32_t *v = known[i];
        uint32_t out[4];
        as_philox((struct as_key){ join(v[4], v[5]), 0, join(v[2], v[3]) }, join(v[0], v[1]), out);
        for (int j = 0; j < 4; j++)
            assert_int_equal(out[j], v[6 + j]);
    }
}

/* Published with the FNV draft (Fowler, Noll, Vo, Eastlake), 64-bit FNV-1a. */
static void hash_known_answers(void **state)
{
    (void)state;
    assert_true(as_hash("") == UINT64_C(0xcbf29ce484222325));
    assert_true(as_hash("a") == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(as_hash("foobar") == UINT64_C(0x85944171f73967e8));
}

static void words_are_those_of_blocks(void **state)
{
    (void)state;
    struct as_key key = { 12345, AS_ROLE_DROPOUT, 77 };
    static uint32_t filled[1003];
    for (uint64_t first = 0; first <= UINT64_C(0x3fffffffc); first += UINT64_C(0x3fffffffc)) {
        as_bits_fill(key, first, 1003, filled);
        for (uint64_t i = 0; i < 1003; i++) {
            uint32_t block[4];
            as_philox(key, (first + i) >> 2, block);
            assert_int_equal(filled[i], block[i & 3]);
            assert_int_equal(filled[i], as_bits(key, first + i));
        }
    }
}

enum { DRAWS = 200000 };

/* Mean, variance and fourth moment within 5 standard errors of what they should be. */
static void moments(const double *x, double mean, double variance, double fourth)
{
    double m = 0, v = 0, f = 0;
    for (int i = 0; i < DRAWS; i++)
        m += x[i] / DRAWS;
    for (int i = 0; i < DRAWS; i++) {
        double d = x[i] - mean;
        v += d * d / DRAWS;
        f += d * d * d * d / DRAWS;
    }
    assert_true(fabs(m - mean) < 5 * sqrt(variance / DRAWS));
    assert_true(fabs(v - variance) < 5 * sqrt((fourth - variance * variance) / DRAWS));
    assert_true(fabs(f - fourth) < 0.05 * fourth);
}

static double draws[DRAWS];

static void uniform_moments(void **state)
{
    (void)state;
    struct as_key key = { 3, AS_ROLE_INIT, 1 };
    double least = 1, most = 0;
    for (int i = 0; i < DRAWS; i++) {
        draws[i] = (double)as_uniform(key, (uint64_t)i);
        least = fmin(least, draws[i]);
        most = fmax(most, draws[i]);
    }
    moments(draws, 0.5, 1.0 / 12, 1.0 / 80);
    assert_true(least > 0 && least < 1e-4 && most < 1 && most > 1 - 1e-4);
}

static void uniform_never_reaches_its_ends(void **state)
{
    (void)state;
    struct as_key key = { 8, AS_ROLE_INIT, 1 };
    for (uint64_t i = 0; i < 1000; i++) {        /* the formula, and then the formula at the extreme words */
        double exact = ((double)(as_bits(key, i) >> 9) + 0.5) * 0x1p-23;
        assert_true((double)as_uniform(key, i) == exact);
    }
    assert_true((float)((0.0 + 0.5) * 0x1p-23) > 0.0f);
    assert_true((float)(((double)(UINT32_MAX >> 9) + 0.5) * 0x1p-23) < 1.0f);
}

static void normal_moments(void **state)
{
    (void)state;
    struct as_key key = { 4, AS_ROLE_INIT, 2 };
    double neighbours = 0;
    for (int i = 0; i < DRAWS; i++)
        draws[i] = (double)as_normal(key, (uint64_t)i);
    moments(draws, 0, 1, 3);
    for (int i = 0; i + 1 < DRAWS; i += 2)       /* the two branches of one pair */
        neighbours += draws[i] * draws[i + 1] / (DRAWS / 2);
    assert_true(fabs(neighbours) < 5 / sqrt(DRAWS / 2));
    int beyond = 0;
    for (int i = 0; i < DRAWS; i++)
        beyond += fabs(draws[i]) > 1.959964;
    assert_true(abs(beyond - DRAWS / 20) < 5 * sqrt(DRAWS * 0.05 * 0.95));
}

static void below_is_unbiased(void **state)
{
    (void)state;
    struct as_key key = { 5, AS_ROLE_DATA, 0 };
    static const uint32_t sizes[] = { 2, 3, 7, 10, 64 };
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        int count[64] = { 0 };
        uint32_t n = sizes[s];
        for (int i = 0; i < DRAWS; i++)
            count[as_below(key, (uint64_t)i, n)]++;
        double chi2 = 0, expected = (double)DRAWS / n;
        for (uint32_t j = 0; j < n; j++)
            chi2 += (count[j] - expected) * (count[j] - expected) / expected;
        assert_true(chi2 < n - 1 + 5 * sqrt(2.0 * (n - 1)));
    }
    /* Without rejection the lower and middle thirds of 3 * 2^30 numbers would differ by a factor of 2. */
    int third[3] = { 0 };
    for (int i = 0; i < DRAWS; i++)
        third[as_below(key, (uint64_t)i, UINT32_C(3) << 30) >> 30]++;
    for (int j = 0; j < 3; j++)
        assert_true(abs(third[j] - DRAWS / 3) < 5 * sqrt(DRAWS * 2.0 / 9));
    uint32_t n = (UINT32_C(3) << 30) - 1;        /* odd and even numbers: multiplication alone prefers one kind */
    int odd = 0;
    for (int i = 0; i < DRAWS; i++)
        odd += (int)(as_below(key, (uint64_t)i, n) % 3 == 0);
    assert_true(abs(odd - DRAWS / 3) < 5 * sqrt(DRAWS * 2.0 / 9));
}

static void shuffle_is_a_fair_permutation(void **state)
{
    (void)state;
    int32_t order[1000];
    char seen[1000] = { 0 };
    as_shuffle((struct as_key){ 6, AS_ROLE_ORDER, 0 }, 1000, order);
    int in_place = 0;
    for (int i = 0; i < 1000; i++) {
        assert_in_range(order[i], 0, 999);
        assert_false(seen[order[i]]);
        seen[order[i]] = 1;
        in_place += order[i] == i;
    }
    assert_true(in_place < 8);
    int count[6] = { 0 };                        /* all six orders of three equally often */
    for (uint64_t epoch = 0; epoch < 6000; epoch++) {
        as_shuffle((struct as_key){ 6, AS_ROLE_ORDER, epoch }, 3, order);
        count[order[0] * 2 + (order[1] > order[2])]++;
    }
    for (int j = 0; j < 6; j++)
        assert_true(abs(count[j] - 1000) < 5 * 29);
}

static void uncorrelated(struct as_key a, struct as_key b)
{
    double r = 0;
    int same = 0;
    for (int i = 0; i < DRAWS; i++) {
        uint32_t u = as_bits(a, (uint64_t)i), v = as_bits(b, (uint64_t)i);
        same += u == v;
        r += ((double)u * 0x1p-32 - 0.5) * ((double)v * 0x1p-32 - 0.5) * 12 / DRAWS;
    }
    assert_true(same <= 2);
    assert_true(fabs(r) < 5 / sqrt(DRAWS));
}

static void roles_streams_and_seeds_never_meet(void **state)
{
    (void)state;
    struct as_key base = { 0, AS_ROLE_DATA, 0 };
    for (uint32_t role = 1; role <= AS_ROLE_TEST_HARNESS; role++)
        uncorrelated(base, (struct as_key){ 0, role, 0 });
    uncorrelated(base, (struct as_key){ 1, AS_ROLE_DATA, 0 });
    uncorrelated(base, (struct as_key){ 0, AS_ROLE_DATA, 1 });
    uncorrelated(base, as_subkey(base, 0));
    uncorrelated(as_subkey(base, 0), as_subkey(base, 1));
    uncorrelated(as_subkey(as_subkey(base, 1), 2), as_subkey(as_subkey(base, 2), 1));
    struct as_key sub = as_subkey((struct as_key){ 9, AS_ROLE_INIT, 5 }, 3);
    assert_true(sub.seed == 9 && sub.role == AS_ROLE_INIT && sub.stream != 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(hash_known_answers),
        cmocka_unit_test(words_are_those_of_blocks),
        cmocka_unit_test(uniform_moments),
        cmocka_unit_test(uniform_never_reaches_its_ends),
        cmocka_unit_test(normal_moments),
        cmocka_unit_test(below_is_unbiased),
        cmocka_unit_test(shuffle_is_a_fair_permutation),
        cmocka_unit_test(roles_streams_and_seeds_never_meet),
    };
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
