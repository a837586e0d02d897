/* check_compare.c: forms of a layer, and two results of them against each other. */
#include "check/layer.h"

#include <assay/error.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double ulp = 1.1920929e-7;
enum { BLOCK = 16 };         /* three draws say little of one number: its neighbours help */

struct check_forms check_forms_of(const struct check_run *r)
{
    struct check_forms out = { 0 };
    struct as_choice choice[32];
    const struct as_variant *v = check_variant(r);
    int n = as_registry_impls(r->entry, choice, 32);

    for (int i = 0; i < n && i < 32; i++, out.n++) {
        out.form[out.n].name = choice[i].impl->name;
        out.form[out.n].tolerance = choice[i].impl->tolerance > 0 ? choice[i].impl->tolerance : CHECK_TOLERANCE;
        out.form[out.n].why = choice[i].impl->tolerance_why;
    }
    if (v->graph) {
        out.form[out.n].name = "graph";
        out.form[out.n].tolerance = v->graph_tolerance > 0 ? v->graph_tolerance : CHECK_TOLERANCE;
        out.form[out.n++].why = v->graph_tolerance_why;
    }
    return out;
}

bool check_is_in_double(const struct check_run *r, const char *form)
{
    const struct as_plugin *p = r->entry->plugin;

    for (int i = 0; i < AS_MAX_IMPL && p->impl[i]; i++)
        if (strcmp(p->impl[i]->name, form) == 0)
            return true;
    return strcmp(form, "graph") == 0;
}

double check_slack(struct check_run *r, const struct check_case *c, const struct form *f, int part)
{
    struct form g = *f;
    struct form_result truth;
    struct check_noise noise;
    double unit = 0;

    if (check_is_in_double(r, f->impl))
        return 0;
    g.impl = check_truth_of(r);
    if (check_run_form_d(r, c, &g, &truth)) {
        noise = check_noise(r, c, &g, &truth);
        unit = noise.unit[part];
        free(noise.element);
    }
    free(truth.value);
    return CHECK_WORST * CHECK_TOLERANCE * unit;
}

const char *check_truth_of(const struct check_run *r)
{
    return check_variant(r)->graph ? "graph" : "ref";
}

struct form check_ready(const struct check_run *r, const struct form *f)
{
    struct form g = *f;
    struct as_choice choice[1];

    if (g.impl && strcmp(g.impl, "graph") == 0 && as_registry_impls(r->entry, choice, 1) == 0)
        g.impl = NULL;
    return g;
}

static bool went(struct check_run *r, const struct check_case *c, const struct form *f, const char *precision,
                 const struct form_result *out)
{
    if (!out->why[0])
        return true;
    if (!strstr(out->why, "cannot be used here"))
        check_fail(r, "it does not run in %s: %s (%s)", precision, out->why, check_where(c, f));
    return false;
}

bool check_run_form(struct check_run *r, const struct check_case *c, const struct form *f, struct form_result *out)
{
    struct form g = check_ready(r, f);

    *out = form_run(&g);
    return went(r, c, f, "float", out);
}

bool check_run_form_d(struct check_run *r, const struct check_case *c, const struct form *f, struct form_result *out)
{
    struct form g = check_ready(r, f);

    *out = form_run_d(&g);
    return went(r, c, f, "double", out);
}

static double rms(const double *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return n ? sqrt(sum / (double)n) : 0;
}

/* The rms of each part in the usual case, by name: computed once a process. */
struct usual { char layer[160]; int n; char part[FORM_PARTS][64]; double rms[FORM_PARTS]; };

static double usual_rms(const struct check_run *r, const char *part)
{
    static struct usual u;

    if (strcmp(u.layer, r->name) != 0) {
        static struct check_case c;
        struct form_result truth;

        u = (struct usual){ .n = 0 };
        snprintf(u.layer, sizeof u.layer, "%s", r->name);
        if (!check_case(r, CHECK_FEW, 0, &c))
            return 0;
        c.form.impl = check_truth_of(r);
        c.form = check_ready(r, &c.form);
        truth = form_run_d(&c.form);
        for (; u.n < truth.n_parts && !truth.why[0]; u.n++) {
            size_t from = u.n ? truth.end[u.n - 1] : 0;

            memcpy(u.part[u.n], truth.part[u.n], sizeof u.part[0]);
            u.rms[u.n] = rms(truth.value + from, truth.end[u.n] - from);
        }
        free(truth.value);
    }
    for (int i = 0; i < u.n; i++)
        if (strcmp(u.part[i], part) == 0)
            return u.rms[i];
    return 0;
}

/* Adds the squares of the changes of three moved runs to sum. */
static void scatter(const struct form *f, const struct form_result *still, struct form_result run(const struct form *),
                    double *sum)
{
    for (uint64_t draw = 1; draw <= 3; draw++) {
        struct form g = *f;
        struct form_result r;

        g.jitter = ulp;
        g.draw = draw;
        r = run(&g);
        if (r.why[0] || r.n != still->n)
            as_fail(AS_FAILED, "it ran, and again with its inputs moved by an ulp it did not: %s", r.why);
        for (size_t i = 0; i < still->n; i++)
            sum[i] += pow(r.value[i] - still->value[i], 2);
        free(r.value);
    }
}

struct check_noise check_noise(struct check_run *r, const struct check_case *c, const struct form *f,
                               const struct form_result *truth)
{
    struct check_noise u = { .element = calloc(truth->n + 1, sizeof *u.element) };
    struct form g = check_ready(r, f);

    if (!u.element)
        as_fail(AS_NO_MEMORY, "no memory for a check");
    scatter(&g, truth, form_run_d, u.element);
    if (c->extreme) {
        struct form_result still = form_run(&g);

        if (!still.why[0] && still.n == truth->n)
            scatter(&g, &still, form_run, u.element);
        free(still.value);
    }
    for (int p = 0; p < truth->n_parts; p++) {
        size_t from = p ? truth->end[p - 1] : 0, n = truth->end[p] - from;
        double least = ulp * fmax(rms(truth->value + from, n), usual_rms(r, truth->part[p]));

        for (size_t i = from; i < truth->end[p]; i += BLOCK) {
            size_t end = i + BLOCK < truth->end[p] ? i + BLOCK : truth->end[p];
            double sum = 0;

            for (size_t j = i; j < end; j++)
                sum += u.element[j];
            u.unit[p] += sum;
            for (size_t j = i; j < end; j++)
                u.element[j] = fmax(sqrt(fmax(u.element[j], sum / (double)(end - i)) / 3), ulp * fabs(truth->value[j]));
        }
        u.unit[p] = n ? fmax(sqrt(u.unit[p] / (3.0 * (double)n)), least) : 0;
    }
    return u;
}

/* One part; returns its worst error in units of noise. */
static double compare_part(struct check_run *r, const struct check_case *c, const struct form *f, const char *how,
                           const struct form_result *truth, const struct form_result *got,
                           const struct check_noise *noise, int part, double tolerance)
{
    double worst = 0, sum = 0, all, unit = noise->unit[part];
    size_t from = part ? truth->end[part - 1] : 0, n = truth->end[part] - from, place = from;

    for (size_t i = from; i < truth->end[part]; i++) {
        double e = fabs(got->value[i] - truth->value[i]), own = fmax(unit, noise->element[i]);

        if (e == 0 || (isinf(truth->value[i]) && got->value[i] == truth->value[i]))
            continue;
        sum += e * e;
        e = own > 0 ? e / own : (double)INFINITY;
        if (!(e <= worst)) {
            worst = e;
            place = i;
        }
    }
    all = n && sum != 0 ? sqrt(sum / (double)n) / (unit > 0 ? unit : 1e-300) : 0;
    check_did(r);
    if (worst <= CHECK_WORST * tolerance && all <= tolerance)
        return worst;
    check_fail(r, "%s: %s%s: expected %.9g, got %.9g; the worst of %zu elements is off by %.3g units of noise (rms "
               "of all %.3g), allowed are %g (rms %g); a unit is %.3g (%s%s%s)", how,
               truth->kind[part] == FORM_INPUT || truth->kind[part] == FORM_WEIGHT ? "gradient of " : "",
               check_element(f, truth, part, place - from), truth->value[place], got->value[place], n, worst, all,
               CHECK_WORST * tolerance, tolerance, unit, c->text, c->text[0] ? ": " : "", check_where(c, f));
    return worst;
}

double check_compare(struct check_run *r, const struct check_case *c, const struct form *f, const char *how,
                     const struct form_result *truth, const struct form_result *got, const struct check_noise *noise,
                     int parts, double tolerance)
{
    double worst = 0;

    parts = parts > 0 ? parts : truth->n_parts;
    if (got->n_parts < parts || got->end[parts - 1] != truth->end[parts - 1]) {
        check_fail(r, "%s: expected %zu numbers in %d parts, got %zu in %d (%s)", how, truth->end[parts - 1], parts,
                   got->n, got->n_parts, check_where(c, f));
        return 0;
    }
    for (int p = 0; p < parts; p++) {
        double e = compare_part(r, c, f, how, truth, got, noise, p, tolerance);

        worst = e > worst ? e : worst;
    }
    return worst;
}

bool check_differ(struct check_run *r, const struct check_case *c, const struct form *f, const char *what,
                  const struct form_result *want, const struct form_result *got, int parts)
{
    parts = parts > 0 ? parts : want->n_parts;
    check_did(r);
    if (got->n_parts < parts || got->end[parts - 1] != want->end[parts - 1]) {
        check_fail(r, "%s: expected %zu numbers, got %zu (%s)", what, want->end[parts - 1],
                   got->n_parts ? got->end[got->n_parts - 1] : 0, check_where(c, f));
        return true;
    }
    for (int p = 0; p < parts; p++)
        for (size_t i = p ? want->end[p - 1] : 0; i < want->end[p]; i++)
            if (memcmp(&want->value[i], &got->value[i], sizeof *got->value) != 0) {
                check_fail(r, "%s: expected %.9g, got %.9g at %s%s (%s%s%s)", what, want->value[i], got->value[i],
                           want->kind[p] == FORM_INPUT || want->kind[p] == FORM_WEIGHT ? "gradient of " : "",
                           check_element(f, want, p, i - (p ? want->end[p - 1] : 0)), c->text, c->text[0] ? ": " : "",
                           check_where(c, f));
                return true;
            }
    return false;
}
