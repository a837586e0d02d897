/* pointing-hull.c: does a network that points find convex hulls, and larger ones than it was trained on? It is trained as
 * the experiment says ([data] convex-hull, [model], [train]) and answers by itself (pointing.h). Of each test:
 *
 *   exact     share of answers that are the right one step by step, from the fixed start to the mark
 *   polygon   share that are the right polygon, wherever they start (accuracy of Vinyals et al. 2015, section 4.2)
 *   valid     share that are closed, have three corners or more, none twice, and sides that do not meet
 *   coverage  area of the answer over that of the hull, 0 when it is not valid; the mean. (The paper gives no figure
 *             where too many answers cross themselves.)
 *
 * near: of n = near points; far: of n = far, which as a curve go over all n tested.
 */
#include "pointing.h"

static const struct as_study_metric metrics[] = {
    { "exact_near", "raw", "share of answers right step by step, n = near" },
    { "polygon_near", "raw", "share of answers that are the right polygon from any start, n = near" },
    { "valid_near", "raw", "share of answers that are simple polygons, n = near" },
    { "coverage_near", "raw", "mean area over that of the hull, 0 when not valid, n = near" },
    { "exact_far", "raw", "share of answers right step by step, n = far; as a curve over n" },
    { "polygon_far", "raw", "share of answers that are the right polygon from any start, n = far; as a curve over n" },
    { "valid_far", "raw", "share of answers that are simple polygons, n = far; as a curve over n" },
    { "coverage_far", "raw", "mean area over that of the hull, 0 when not valid, n = far; as a curve over n" },
    { "accuracy", "raw", "share of right steps when fed with the right answer, n as trained; as a curve, of validation" },
    { 0 }
};

/* Above 0: on the way from a to b, c lies to the left. Exact: coordinates are multiples of 2^-24 below 1. */
static double turn(const real *a, const real *b, const real *c)
{
    return ((double)b[0] - (double)a[0]) * ((double)c[1] - (double)a[1]) -
           ((double)b[1] - (double)a[1]) * ((double)c[0] - (double)a[0]);
}

/* Whether c, on the line through a and b, lies between them. */
static bool between(const real *a, const real *b, const real *c)
{
    for (int k = 0; k < 2; k++)
        if ((c[k] < a[k] && c[k] < b[k]) || (c[k] > a[k] && c[k] > b[k]))
            return false;
    return true;
}

/* Whether side a-b and side c-d have a point in common. */
static bool meet(const real *a, const real *b, const real *c, const real *d)
{
    double abc = turn(a, b, c), abd = turn(a, b, d), cda = turn(c, d, a), cdb = turn(c, d, b);

    if (((abc < 0 && abd > 0) || (abc > 0 && abd < 0)) && ((cda < 0 && cdb > 0) || (cda > 0 && cdb < 0)))
        return true;
    return (!(abc < 0) && !(abc > 0) && between(a, b, c)) || (!(abd < 0) && !(abd > 0) && between(a, b, d)) ||
           (!(cda < 0) && !(cda > 0) && between(c, d, a)) || (!(cdb < 0) && !(cdb > 0) && between(c, d, b));
}

static const real *corner(const struct pointing_said *s, ptrdiff_t i) { return s->x + 2 * s->row[i % s->count]; }

/* Whether some row is named twice. */
static bool twice_named(const struct pointing_said *s)
{
    for (ptrdiff_t i = 0; i < s->count; i++)
        for (ptrdiff_t j = 0; j < i; j++)
            if (s->row[i] == s->row[j])
                return true;
    return false;
}

static bool valid(const struct pointing_said *s)
{
    if (!s->closed || s->count < 3 || twice_named(s))
        return false;
    for (ptrdiff_t i = 0; i < s->count; i++) {
        const real *a = corner(s, i), *b = corner(s, i + 1), *c = corner(s, i + 2);
        double bend = turn(a, b, c);

        if (!(bend < 0) && !(bend > 0) && !between(a, c, b))
            return false;                        /* back along the side that it came */
        for (ptrdiff_t j = i + 2; j < s->count && (j + 1) % s->count != i; j++)
            if (meet(a, b, corner(s, j), corner(s, j + 1)))
                return false;
    }
    return true;
}

static double area(const real *x, const int32_t *row, ptrdiff_t count)
{
    double twice = 0;

    for (ptrdiff_t i = 1; i + 1 < count; i++)
        twice += turn(x + 2 * row[0], x + 2 * row[i], x + 2 * row[i + 1]);
    return fabs(twice) / 2;
}

static bool same_polygon(const struct pointing_said *s)
{
    ptrdiff_t shift = 0;

    if (!s->closed || s->count != s->asked)
        return false;
    while (shift < s->count && s->row[shift] != s->target[0])
        shift++;
    for (ptrdiff_t i = 0; i < s->count; i++)
        if (s->row[(shift + i) % s->count] != s->target[i])
            return false;
    return true;
}

struct tally { double exact, polygon, valid, coverage; };

static void judge(void *ctx, const struct pointing_said *s)
{
    struct tally *sum = ctx;
    bool is_valid = valid(s);

    sum->exact += pointing_exact(s);
    sum->polygon += same_polygon(s);
    sum->valid += is_valid;
    if (is_valid)
        sum->coverage += area(s->x, s->row, s->count) / area(s->x, s->target, s->asked);
}

static struct tally test(struct pointing *p, int n)
{
    struct as_study_run *r = p->run;
    struct tally sum = { 0 };
    double all = p->o->examples;

    pointing_test(p, n, judge, &sum);
    sum = (struct tally){ sum.exact / all, sum.polygon / all, sum.valid / all, sum.coverage / all };
    r->curve(r->ctx, "exact_far", n, sum.exact);
    r->curve(r->ctx, "polygon_far", n, sum.polygon);
    r->curve(r->ctx, "valid_far", n, sum.valid);
    r->curve(r->ctx, "coverage_far", n, sum.coverage);
    return sum;
}

static void run(struct as_study_run *r)
{
    const struct pointing_opt *o = r->opt;
    struct pointing p = pointing_train(r);
    struct tally near, far;

    if (as_data_describe(p.data)->field[0].dim[1] != 2 || o->near < 3)
        as_fail(AS_REFUSED, "pointing-hull: a hull needs three points in the plane; take data.source = convex-hull");
    near = far = test(&p, o->near);
    for (int n = o->near; n < o->far; ) {
        n = n + o->by < o->far ? n + o->by : o->far;
        far = test(&p, n);
    }
    r->record(r->ctx, "exact_near", near.exact);
    r->record(r->ctx, "polygon_near", near.polygon);
    r->record(r->ctx, "valid_near", near.valid);
    r->record(r->ctx, "coverage_near", near.coverage);
    r->record(r->ctx, "exact_far", far.exact);
    r->record(r->ctx, "polygon_far", far.polygon);
    r->record(r->ctx, "valid_far", far.valid);
    r->record(r->ctx, "coverage_far", far.coverage);
    pointing_end(&p);
}

static const char *const sample[] = { "data.source", "convex-hull", "data.n", "3..5", "model", "pointer", "width", "8",
                                      "train.steps", "20", "train.batch", "8", "train.select", "last", NULL };

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "convex hulls by pointing: exact answers and covered area, also with more points than in training",
    .options = pointing_options, .opt_size = sizeof(struct pointing_opt),
    .metrics = metrics,
    .run = run,
    .sample = sample,
};

const struct as_plugin AS_PLUGIN(study__pointing_hull) = { .abi = ASSAY_ABI, .study = &study };
