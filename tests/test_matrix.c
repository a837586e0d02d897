/* test_matrix.c: singular values of matrices whose values are known; entropies; and what Muon makes of a gradient, seen by
 * its singular values: the same directions, values between 0.6 and 1.3 where the gradient's are not too small. */
#include <assay/error.h>
#include <assay/matrix.h>
#include <assay/option.h>
#include <assay/config.h>
#include <assay/random.h>
#include <assay/registry.h>
#include <assay/rule.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 48 };

/* A = U diag(s) V', with U, V products of reflections I - 2 h h' / h'h: exact to rounding. */
static void reflect(ptrdiff_t m, ptrdiff_t n, uint64_t seed, bool rows, double *a)
{
    struct as_key key = { seed, AS_ROLE_TEST_HARNESS, 0 };
    ptrdiff_t count = rows ? m : n, other = rows ? n : m;
    double h[MOST], hh = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        h[i] = (double)as_normal(key, (uint64_t)i);
        hh += h[i] * h[i];
    }
    for (ptrdiff_t j = 0; j < other; j++) {
        double sum = 0;
        for (ptrdiff_t i = 0; i < count; i++)
            sum += h[i] * a[rows ? i * n + j : j * n + i];
        for (ptrdiff_t i = 0; i < count; i++)
            a[rows ? i * n + j : j * n + i] -= 2 * sum / hh * h[i];
    }
}

static void make(ptrdiff_t m, ptrdiff_t n, const double *s, double *a)
{
    memset(a, 0, (size_t)(m * n) * sizeof *a);
    for (ptrdiff_t i = 0; i < (m < n ? m : n); i++)
        a[i * n + i] = s[i];
    for (uint64_t k = 0; k < 6; k++)
        reflect(m, n, k, k % 2 == 0, a);
}

static void known(void **state)
{
    (void)state;
    static const ptrdiff_t size[][2] = { { 1, 1 }, { 5, 5 }, { 7, 3 }, { 3, 7 }, { 40, 48 } };
    double a[MOST * MOST], s[MOST], found[MOST];
    for (int k = 0; k < 5; k++) {
        ptrdiff_t m = size[k][0], n = size[k][1], r = m < n ? m : n;
        for (ptrdiff_t i = 0; i < r; i++)
            s[i] = pow(10, -(double)i / 8) * 3;
        make(m, n, s, a);
        assert_true(as_singular_values(m, n, a, found));
        for (ptrdiff_t i = 0; i < r; i++)
            if (!(fabs(found[i] - s[i]) <= 1e-13 * s[0]))
                fail_msg("%td x %td: value %td is %.17g instead of %.17g", m, n, i, found[i], s[i]);
    }
}

static void odd(void **state)
{
    (void)state;
    double zero[6] = { 0 }, s[3], one[4] = { 1e300, 1e300, 1e300, 1e300 }, bad[4] = { 1, (double)NAN, 2, 3 };
    assert_true(as_singular_values(2, 3, zero, s));
    assert_true(s[0] <= 0 && s[1] <= 0);
    assert_true(as_spectral_entropy(2, s) <= 0);
    assert_true(as_singular_values(2, 2, one, s));
    assert_true(fabs(s[0] / 2e300 - 1) < 1e-14 && s[1] < 1e285);
    assert_false(as_singular_values(2, 2, bad, s));
}

static void entropies(void **state)
{
    (void)state;
    assert_true(fabs(as_spectral_entropy(4, (double[]){ 3, 3, 3, 3 }) - 1) < 1e-14);
    assert_true(as_spectral_entropy(4, (double[]){ 3, 0, 0, 0 }) <= 1e-14);
    /* squares 3 : 1: -(3/4 log 3/4 + 1/4 log 1/4) / log 2 */
    assert_true(fabs(as_spectral_entropy(2, (double[]){ sqrt(3), 1 }) - 0.811278124459133) < 1e-14);
}

/* The step that Muon makes from zero weights at rate 1, as a matrix of doubles. */
static void muon_step(ptrdiff_t m, ptrdiff_t n, const double *gradient, const char *scale, double *step)
{
    const struct as_rule *rule = as_registry_find("rule", "muon", NULL)->plugin->rule;
    struct as_config *cfg = as_config_new();
    void *opt = calloc(1, rule->opt_size);
    float g[MOST * MOST], w[MOST * MOST] = { 0 }, *moment[AS_MAX_MOMENTS];
    as_config_set(cfg, "rule.scale", scale, true);
    assert_null(as_options_read(rule->options, opt, rule->opt_size, cfg, "rule"));
    for (int k = 0; k < AS_MAX_MOMENTS; k++)
        moment[k] = calloc(MOST * MOST, sizeof(float));
    for (ptrdiff_t i = 0; i < m * n; i++)
        g[i] = (float)gradient[i];
    struct as_update u = { .opt = opt, .name = "W", .kind = AS_MATRIX, .rank = 2, .dim = (ptrdiff_t[]){ m, n }, .n = m * n,
                           .w = w, .g = g, .moment = moment, .rate = 1, .step = 1 };
    rule->update(&u);
    for (ptrdiff_t i = 0; i < m * n; i++)
        step[i] = -(double)w[i];
    for (int k = 0; k < AS_MAX_MOMENTS; k++)
        free(moment[k]);
    free(opt);
    as_config_free(cfg);
}

static void muon(void **state)
{
    (void)state;
    static const ptrdiff_t size[][2] = { { 16, 16 }, { 12, 40 }, { 40, 12 } };
    double a[MOST * MOST], step[MOST * MOST], copy[MOST * MOST], s[MOST], found[MOST];
    for (int k = 0; k < 3; k++) {
        ptrdiff_t m = size[k][0], n = size[k][1], r = m < n ? m : n;
        double polar = 0, sum = 0, scale = sqrt(fmax(1, (double)m / (double)n));
        for (ptrdiff_t i = 0; i < r; i++)
            s[i] = pow(0.8, (double)i);
        make(m, n, s, a);
        muon_step(m, n, a, "none", step);
        memcpy(copy, step, sizeof copy);
        assert_true(as_singular_values(m, n, copy, found));
        for (ptrdiff_t i = 0; i < r; i++) {
            if (!(found[i] > 0.6 && found[i] < 1.3))
                fail_msg("%td x %td: singular value %td of the step is %g", m, n, i, found[i]);
            sum += s[i] * found[i];
        }
        /* <G, step> = sum of s_i times the step's value along the same pair of directions */
        for (ptrdiff_t i = 0; i < m * n; i++)
            polar += a[i] * step[i];
        assert_true(polar > 0.6 * sum);
        muon_step(m, n, a, "original", copy);
        for (ptrdiff_t i = 0; i < m * n; i++)
            assert_true(fabs(copy[i] - scale * step[i]) < 1e-5);
    }
}

/* The quintic by hand on a diagonal matrix, where every singular value goes its own way. */
static void quintic(void **state)
{
    (void)state;
    double a[9] = { 0.6, 0, 0, 0, 0.3, 0, 0, 0, -0.1 }, step[9], length = sqrt(0.36 + 0.09 + 0.01) + 0;
    muon_step(3, 3, a, "none", step);
    for (int i = 0; i < 3; i++) {
        double x = a[4 * i] / length;
        for (int k = 0; k < 5; k++)
            x = 3.4445 * x - 4.7750 * x * x * x + 2.0315 * x * x * x * x * x;
        assert_true(fabs(step[4 * i] - x) < 1e-4);
    }
    assert_true(fabs(step[1]) < 1e-6 && fabs(step[5]) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known), cmocka_unit_test(odd), cmocka_unit_test(entropies), cmocka_unit_test(muon),
        cmocka_unit_test(quintic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
