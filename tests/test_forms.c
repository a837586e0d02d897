/* Every layer in impl/, in every form it has, against the double build of its obvious form: outputs and all
 * gradients, whole and streamed. The unit of error is the oracle's own noise: the rms change of a part (the output,
 * the gradient of one input or weight) when every weight and input moves by up to one float ulp. The rms error of a
 * part may be 12 units; its worst element 4 times that, which is where the largest of some ten thousand normal
 * errors lies. Nothing here names a layer but for the inputs of those that have ports of their own. */
#include "tests/real/form.h"

#include <assay/layer.h>
#include <assay/parallel.h>
#include <assay/registry.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern struct form_result form_run_d(const struct form *f);

static const double default_tolerance = 12;      /* in units of noise, on the rms error of a part */
static const double worst_to_rms = 4, ulp = 1.1920929e-7;

struct case_ { ptrdiff_t batch, time; double gain; const int32_t *length; };
static const int32_t lengths[] = { 7, 1, 5 };
static const struct case_ cases[] = {
    { 1, 1, 1, NULL }, { 2, 5, 1, NULL }, { 3, 7, 2, NULL }, { 3, 7, 1, lengths }, { 2, 67, 1, NULL },
};

/* Inputs of a variant by the names of its ports: q, k (heads 2, dk 5), v (2, dv 3), gates in range. */
static int inputs(const struct as_variant *v, struct form *f)
{
    int n = 0;

    if (!v->ports) {
        f->in[0] = (struct form_input){ .name = "x", .rank = 1, .dim = { 16 }, .scale = 1 };
        return f->n_in = 1;
    }
    for (; v->ports[n]; n++) {
        const char *p = v->ports[n];

        f->in[n] = (struct form_input){ .name = p, .rank = 2, .dim = { 2, strcmp(p, "v") == 0 ? 3 : 5 }, .scale = 0.5 };
        if (strcmp(p, "beta") == 0)
            f->in[n] = (struct form_input){ .name = p, .rank = 1, .dim = { 2 }, .scale = 1.9, .positive = 1 };
        if (strcmp(p, "g") == 0)
            f->in[n] = (struct form_input){ .name = p, .rank = 1, .dim = { 2 }, .scale = 0.5, .positive = -1 };
    }
    return f->n_in = n;
}

static double rms(const double *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return n ? sqrt(sum / (double)n) : 0;
}

/* The oracle's noise over one part, and never less than an ulp of the part's size. */
struct noise { double unit[FORM_PARTS]; };

static struct noise noise(const struct form *f, const struct form_result *truth)
{
    struct noise u = { { 0 } };

    for (uint64_t draw = 1; draw <= 3; draw++) {
        struct form g = *f;
        struct form_result r;

        g.jitter = ulp;
        g.draw = draw;
        r = form_run_d(&g);
        for (int p = 0; p < truth->n_parts && !r.why[0]; p++)
            for (size_t i = p ? truth->end[p - 1] : 0; i < truth->end[p]; i++)
                u.unit[p] += pow(r.value[i] - truth->value[i], 2);
        free(r.value);
    }
    for (int p = 0; p < truth->n_parts; p++) {
        size_t from = p ? truth->end[p - 1] : 0, n = truth->end[p] - from;
        double floor = ulp * rms(truth->value + from, n);

        u.unit[p] = n ? sqrt(u.unit[p] / (3.0 * (double)n)) : 0;
        u.unit[p] = u.unit[p] > floor ? u.unit[p] : floor;
    }
    return u;
}

static int compare(const struct form *f, const char *how, const struct form_result *truth,
                   const struct form_result *got, int part, double unit, double tolerance)
{
    double worst = 0, sum = 0, all;
    size_t from = part ? truth->end[part - 1] : 0, place = from;

    for (size_t i = from; i < truth->end[part]; i++) {
        double e = fabs(got->value[i] - truth->value[i]);

        sum += e * e;
        if (!(e <= worst)) {
            worst = e;
            place = i;
        }
    }
    all = truth->end[part] > from ? sqrt(sum / (double)(truth->end[part] - from)) : 0;
    if (getenv("ASSAY_FORMS_PRINT"))
        print_message("%-34s %-8s %-9s batch %td time %td: rms %.2f, worst %.2f units\n", f->variant, how,
                      truth->part[part], f->batch, f->time, unit > 0 ? all / unit : 0, unit > 0 ? worst / unit : 0);
    if (worst <= worst_to_rms * tolerance * unit && all <= tolerance * unit)
        return 0;
    print_error("%s impl=%s %s%s, batch %td, time %td, gain %g, %s: element %zu is %.9g, expected %.9g; off by %.3g units "
                "of noise (rms %.3g), allowed are %g (rms %g)\n", f->variant, how, part ? "gradient of " : "", truth->part[part], f->batch,
                f->time, f->gain, f->length ? "padded" : "full", place - from, got->value[place], truth->value[place],
                unit > 0 ? worst / unit : worst, unit > 0 ? all / unit : all, worst_to_rms * tolerance, tolerance);
    return 1;
}

static int one_form(const struct form *base, const struct form_result *truth, const struct noise *u, const char *impl,
                    double tolerance)
{
    struct form f = *base;
    struct form_result got;
    int bad = 0;

    f.impl = impl;
    got = form_run(&f);
    if (got.why[0] || got.n != truth->n) {
        print_error("%s impl=%s: %s (%zu numbers, expected %zu)\n", f.variant, impl, got.why, got.n, truth->n);
        free(got.value);
        return 1;
    }
    for (int p = 0; p < truth->n_parts; p++)
        bad += compare(&f, impl, truth, &got, p, u->unit[p], tolerance);
    free(got.value);
    return bad;
}

static int streamed(const struct form *base, const struct form_result *truth, const struct noise *u)
{
    struct form f = *base;
    struct form_result got;
    int bad;

    f.stream = 1;
    f.impl = NULL;
    got = form_run(&f);
    if (got.why[0]) {
        print_error("%s streamed: %s\n", f.variant, got.why);
        return 1;
    }
    if (got.n != truth->end[0]) {
        print_error("%s streamed gives %zu numbers, expected %zu\n", f.variant, got.n, truth->end[0]);
        bad = 1;
    } else
        bad = compare(&f, "streamed", truth, &got, 0, u->unit[0], default_tolerance);
    free(got.value);
    return bad;
}

/* A slot that has no filler of its own gets a mixer that is linear in time and causal, like most. */
static void fill_slots(const struct as_variant *v, struct form *f)
{
    static char option[8][48];
    int n = 0;

    for (const struct as_slot *s = v->slots; s && s->name; s++)
        if (!s->def || strcmp(s->name, "mixer") == 0) {
            snprintf(option[n], sizeof option[n], "%s=linear", s->name);
            f->options[n] = option[n];
            n++;
        }
    if (v->promises & AS_FLAT && n == 0)
        f->options[n] = "mixer=linear";
}

/* The oracle's numbers; a model that reads tokens says so, and gets them. */
static struct form_result oracle(struct form *f)
{
    struct form_result truth = form_run_d(f);

    if (truth.why[0] && strstr(truth.why, "tokens")) {
        f->in[0] = (struct form_input){ .name = "x", .vocab = 5 };
        truth = form_run_d(f);
    }
    return truth;
}

/* Is there a state, so that streaming means something? Pointwise layers stream without. */
static int streams(const struct as_variant *v) { return (v->promises & (AS_CAUSAL | AS_POINTWISE)) != 0; }

static int one_variant(const struct as_entry *e, int *forms)
{
    const struct as_variant *v = e->plugin->variant;
    struct as_choice choice[32];
    int n = as_registry_impls(e, choice, 32), bad = 0;
    char name[128];

    snprintf(name, sizeof name, "%s/%s", e->family, e->name);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct form f = { .variant = name, .impl = v->graph ? "graph" : "ref", .batch = cases[c].batch,
                          .time = cases[c].time, .gain = cases[c].gain, .length = cases[c].length, .seed = 11 + c };
        struct form_result truth;
        struct noise u;

        if (!inputs(v, &f))
            return 0;
        if (n == 0)
            f.impl = NULL;
        fill_slots(v, &f);
        truth = oracle(&f);
        if (truth.why[0]) {
            print_error("%s in double: %s\n", name, truth.why);
            return bad + 1;
        }
        u = noise(&f, &truth);
        for (int i = 0; i < n; i++) {
            double t = choice[i].impl->tolerance > 0 ? choice[i].impl->tolerance : default_tolerance;

            if (choice[i].impl->can && strcmp(choice[i].impl->name, "ref") != 0) {
                struct form probe = f;
                struct form_result r;

                probe.impl = choice[i].impl->name;
                r = form_run(&probe);
                free(r.value);
                if (strstr(r.why, "cannot be used here"))
                    continue;
            }
            bad += one_form(&f, &truth, &u, choice[i].impl->name, t);
            ++*forms;
        }
        if (v->graph && n)
            bad += one_form(&f, &truth, &u, "graph", v->graph_tolerance > 0 ? v->graph_tolerance : default_tolerance);
        if (streams(v) && !cases[c].length)
            bad += streamed(&f, &truth, &u);
        free(truth.value);
    }
    return bad;
}

static void test_all_forms(void **state)
{
    int bad = 0, forms = 0, variants = 0;

    (void)state;
    as_threads_set(1);
    for (const struct as_entry *e = as_entries; e->path; e++)
        if (e->plugin->variant && e->kernel[0] == '\0') {
            int b = one_variant(e, &forms);

            variants++;
            bad += b;
        }
    print_message("%d layers, %d runs of an implementation compared\n", variants, forms);
    assert_true(variants > 20);
    assert_true(forms > 60);
    assert_int_equal(bad, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_all_forms) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
