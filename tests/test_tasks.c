/* Statistics of the generated tasks against what is known of them, within five standard errors. */
#include "source_try.h"

#include <math.h>

static void parity_is_balanced(void **state)
{
    enum { N = 4000 };
    const char *const last[] = { "labels", "last", "length", "5..9" };
    struct setup u = find("parity", 2, last);
    struct as_example e = new_example(&u);
    int odd = 0, lengths[10] = { 0 };
    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        make(&u, AS_TRAIN, 0, i, 0, &e);
        odd += e.i[1][e.length - 1];
        lengths[e.length]++;
    }
    assert_in_range(odd, N / 2 - 158, N / 2 + 158);
    for (int n = 5; n <= 9; n++)
        assert_in_range(lengths[n], N / 5 - 127, N / 5 + 127);
    free_example(&e);
    free(u.opt);
}

/* The draw of the length must not be one of those of the bits. */
static void parity_bits_do_not_depend_on_the_length(void **state)
{
    enum { N = 4000 };
    const char *const pairs[] = { "length", "32..33" };
    struct setup u = find("parity", 1, pairs);
    struct as_example e = new_example(&u);
    int longer[32] = { 0 };
    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        make(&u, AS_TRAIN, 0, i, 0, &e);
        for (int t = 0; t < 32; t++)
            longer[t] += e.i[0][t] == (e.length == 33);
    }
    for (int t = 0; t < 32; t++)
        assert_in_range(longer[t], N / 2 - 158, N / 2 + 158);
    free_example(&e);
    free(u.opt);
}

static void group_products_are_uniform(void **state)
{
    enum { N = 12000 };
    const char *const a5[] = { "group", "a5", "length", "8" };
    struct setup u = find("group-word", 2, a5);
    struct as_example e = new_example(&u);
    int count[60] = { 0 };
    double chi = 0;
    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        make(&u, AS_TEST, 0, i, 0, &e);
        count[e.i[1][7]]++;
        assert_int_equal(e.i[0][0], e.i[1][0]);          /* x_1 times the identity */
    }
    for (int k = 0; k < 60; k++)
        chi += (count[k] - N / 60.0) * (count[k] - N / 60.0) / (N / 60.0);
    assert_true(chi > 20 && chi < 59 + 5 * sqrt(2 * 59.0));
    free_example(&e);
    free(u.opt);
}

/* Mean slot of the first query. a = 1 is uniform over 56 slots; a = 0.01 is about 1/g. */
static double first_gap(const char *a)
{
    enum { N = 3000 };
    const char *const pairs[] = { "pairs", "4", "length", "120", "a", a, "random_non_queries", "off" };
    struct setup u = find("recall", 4, pairs);
    struct as_example e = new_example(&u);
    double sum = 0;
    for (uint64_t i = 0; i < N; i++) {
        ptrdiff_t t = 8;
        make(&u, AS_TRAIN, 0, i, 0, &e);
        while (e.i[0][t] != e.i[0][0])                   /* the query of the first pair */
            t += 2;
        sum += (double)(t - 8) / 2 / N;
    }
    free_example(&e);
    free(u.opt);
    return sum;
}

static void recall_gaps_follow_the_power_law(void **state)
{
    double uniform = first_gap("1"), power = first_gap("0.01"), mean = 0, total = 0;
    (void)state;
    for (int g = 1; g <= 56; g++) {
        mean += (g - 1) * pow(g, -0.99);
        total += pow(g, -0.99);
    }
    /* the first pair draws its slot first, so its law is exactly the stated one */
    assert_true(fabs(uniform - 27.5) < 5 * 16.2 / sqrt(3000));
    assert_true(fabs(power - mean / total) < 5 * 13.5 / sqrt(3000));
}

static void selective_copying_spreads_evenly(void **state)
{
    enum { N = 2000, BODY = 40 };
    const char *const few[] = { "length", "36", "tokens", "4" };
    struct setup u = find("selective-copying", 2, few);
    struct as_example e = new_example(&u);
    int place[BODY] = { 0 };
    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        make(&u, AS_VALID, 0, i, 0, &e);
        for (int t = 0; t < BODY; t++)
            place[t] += e.i[0][t] != 0;
    }
    for (int t = 0; t < BODY; t++)
        assert_in_range(place[t], N / 10 - 67, N / 10 + 67);
    free_example(&e);
    free(u.opt);
}

static void adding_has_its_known_baseline(void **state)
{
    enum { N = 4000 };
    const char *const length[] = { "length", "10..20" };
    struct setup u = find("adding", 1, length);
    struct as_example e = new_example(&u);
    double squares = 0;
    (void)state;
    for (uint64_t i = 0; i < N; i++) {
        make(&u, AS_TRAIN, 0, i, 0, &e);
        double off = (double)e.x[1][0] - 1;
        squares += off * off / N;
    }
    assert_true(fabs(squares - 1 / 6.0) < 5 * 0.2 / sqrt(N));
    free_example(&e);
    free(u.opt);
}

/* All pairs, each once: over the splits together, and again in the next epoch in another order. */
static void modular_addition_covers_all_pairs(void **state)
{
    enum { P = 13, ALL = P * P, TRAIN = 68 };
    const char *const small[] = { "p", "13", "fraction", "0.4" };
    const uint64_t count[AS_SPLITS] = { TRAIN, 50, 51 };
    struct setup u = find("modular-addition", 2, small);
    struct as_example e = new_example(&u);
    int seen[ALL] = { 0 }, again[ALL] = { 0 }, order = 0;
    (void)state;
    for (int s = 0; s < AS_SPLITS; s++)
        for (uint64_t i = 0; i < count[s]; i++) {
            make(&u, (enum as_split)s, 5, i, 0, &e);
            int pair = e.i[0][0] * P + e.i[0][1];
            seen[pair]++;
            make(&u, (enum as_split)s, 5, i + count[s], 0, &e);
            again[e.i[0][0] * P + e.i[0][1]]++;
            order += pair == e.i[0][0] * P + e.i[0][1];
        }
    for (int pair = 0; pair < ALL; pair++)
        assert_true(seen[pair] == 1 && again[pair] == 1);
    assert_in_range(order, 0, ALL / 4);
    free_example(&e);
    free(u.opt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parity_is_balanced),
        cmocka_unit_test(parity_bits_do_not_depend_on_the_length),
        cmocka_unit_test(group_products_are_uniform),
        cmocka_unit_test(recall_gaps_follow_the_power_law),
        cmocka_unit_test(selective_copying_spreads_evenly),
        cmocka_unit_test(adding_has_its_known_baseline),
        cmocka_unit_test(modular_addition_covers_all_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
