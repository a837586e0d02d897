/* bench_agree.c: nothing is timed that has not just agreed with its oracle: the double build of the layer's obvious form
 * (its reference, else its graph; steps of a stream against the whole), on two small shapes. The unit of error is the
 * oracle's own noise, the rms change of a part when every weight and input moves by up to one float ulp; an rms error may
 * be 12 units unless the implementation says why it needs more, the worst element four times that, in units of its own noise
 * where that is larger (of an embedding's gradient few rows move at all). */
#include "bench.h"

#include <assay/error.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

extern struct runner *runner_new_d(const struct runner_ask *ask);
extern void runner_free_d(struct runner *r);
extern void runner_go_d(struct runner *r);
extern struct runner_facts runner_describe_d(const struct runner *r);
extern size_t runner_part_d(const struct runner *r, int part, char *name, double *out);

enum { PARTS = 48, JITTERS = 3 };
static const double ulp = 1.1920929e-7, default_tolerance = 12, worst_to_rms = 4;

struct numbers { int parts; size_t n[PARTS]; double *x[PARTS]; char name[PARTS][64]; double tolerance; };

static void clear(struct numbers *a)
{
    for (int p = 0; p < a->parts; p++)
        free(a->x[p]);
    a->parts = 0;
}

struct taking { const struct runner_ask *ask; bool oracle; struct numbers *to; struct runner *r; };

static double *room(size_t n)
{
    double *x = malloc((n ? n : 1) * sizeof *x);

    if (!x)
        as_fail(AS_NO_MEMORY, "no memory to compare with the oracle");
    return x;
}

/* Step by step: outputs put together as (batch, time, ...), like those of the whole. */
static void take_steps(struct taking *k)
{
    const struct runner_ask *a = k->ask;
    size_t batch = (size_t)a->batch, time = (size_t)a->time, n = runner_part(k->r, 0, k->to->name[0], NULL), unit = n / batch;
    double *all = k->to->x[0] = room(n * time), *one = room(n);

    k->to->parts = 1;
    k->to->n[0] = n * time;
    for (size_t t = 0; t < time; t++) {
        if (t)
            runner_go(k->r);
        runner_part(k->r, 0, k->to->name[0], one);
        for (size_t b = 0; b < batch; b++)
            for (size_t j = 0; j < unit; j++)
                all[(b * time + t) * unit + j] = one[b * unit + j];
    }
    free(one);
}

static void take(void *ctx)
{
    struct taking *k = ctx;
    struct numbers *to = k->to;
    size_t n;

    k->r = k->oracle ? runner_new_d(k->ask) : runner_new(k->ask);
    to->tolerance = k->oracle ? 0 : runner_describe(k->r).tolerance;
    if (!k->oracle && k->ask->mode == RUN_STEP) {
        take_steps(k);
        return;
    }
    for (int p = 0; (n = k->oracle ? runner_part_d(k->r, p, to->name[p], NULL) : runner_part(k->r, p, to->name[p], NULL)) > 0;
         p++) {
        if (p == PARTS - 1)
            as_fail(AS_FAILED, "more than %d arrays to compare", PARTS - 1);
        to->x[p] = room(n);
        to->n[p] = n;
        to->parts = p + 1;
        if (k->oracle)
            runner_part_d(k->r, p, to->name[p], to->x[p]);
        else
            runner_part(k->r, p, to->name[p], to->x[p]);
    }
}

static const char *run(const struct runner_ask *ask, bool oracle, struct numbers *to)
{
    struct taking k = { ask, oracle, to, NULL };
    enum as_failure f;
    const char *why = NULL;

    *to = (struct numbers){ 0 };
    f = as_try(take, &k);
    if (f != AS_OK)
        why = as_say("%s", as_failure_text());
    if (oracle)
        runner_free_d(k.r);
    else
        runner_free(k.r);
    return why;
}

/* The oracle's noise over each part, never less than an ulp of its size; own: of each element. */
static const char *noise(const struct runner_ask *oracle, const struct numbers *truth, double *unit, struct numbers *own)
{
    for (int p = 0; p < truth->parts; p++) {
        unit[p] = 0;
        own->x[p] = memset(room(truth->n[p]), 0, truth->n[p] * sizeof *own->x[p]);
        own->parts = p + 1;
    }
    for (uint64_t draw = 1; draw <= JITTERS; draw++) {
        struct runner_ask moved = *oracle;
        struct numbers near;
        const char *why;

        moved.jitter = ulp;
        moved.draw = draw;
        why = run(&moved, true, &near);
        for (int p = 0; !why && p < truth->parts; p++)
            for (size_t i = 0; i < truth->n[p]; i++)
                own->x[p][i] += pow(near.x[p][i] - truth->x[p][i], 2);
        clear(&near);
        if (why)
            return why;
    }
    for (int p = 0; p < truth->parts; p++) {
        double square = 0, n = (double)truth->n[p];

        for (size_t i = 0; i < truth->n[p]; i++) {
            square += truth->x[p][i] * truth->x[p][i];
            unit[p] += own->x[p][i];
            own->x[p][i] = sqrt(own->x[p][i] / JITTERS);
        }
        unit[p] = fmax(sqrt(unit[p] / (JITTERS * n)), ulp * sqrt(square / n));
    }
    return NULL;
}

static const char *compare(const struct runner_ask *ask, const struct numbers *truth, const struct numbers *got,
                           const double *unit, const struct numbers *own)
{
    double tolerance = got->tolerance > default_tolerance ? got->tolerance : default_tolerance;

    if (got->parts != truth->parts)
        return as_say("%s gives %d arrays and its oracle %d", ask->layer, got->parts, truth->parts);
    for (int p = 0; p < truth->parts; p++) {
        double worst = 0, sum = 0;

        if (got->n[p] != truth->n[p])
            return as_say("%s: %s has %zu numbers and its oracle %zu", ask->layer, truth->name[p], got->n[p], truth->n[p]);
        for (size_t i = 0; i < truth->n[p]; i++) {
            double e = fabs(got->x[p][i] - truth->x[p][i]);

            sum += e * e;
            e /= fmax(fmax(unit[p], own->x[p][i]), 1e-300);
            if (!(e <= worst))
                worst = e;
        }
        sum = sqrt(sum / (double)truth->n[p]);
        if (!(sum <= tolerance * unit[p]) || !(worst <= worst_to_rms * tolerance))
            return as_say("%s%s%s does not agree with its oracle at batch %td, time %td, width %td: %s is off by %.3g units of "
                          "noise (rms; allowed are %g), its worst element by %.3g (%g)",
                          ask->layer, ask->impl ? " impl=" : "", ask->impl ? ask->impl : "", ask->batch, ask->time,
                          ask->width, truth->name[p], unit[p] > 0 ? sum / unit[p] : sum, tolerance, worst,
                          worst_to_rms * tolerance);
    }
    return NULL;
}

static const char *one_shape(const struct runner_ask *ask, const char *impl)
{
    struct runner_ask fast = *ask, oracle = *ask;
    struct numbers truth, got, own = { 0 };
    double unit[PARTS];
    const char *why;

    fast.impl = impl;
    oracle.impl = NULL;
    if (oracle.mode == RUN_STEP)
        oracle.mode = RUN_FORWARD;
    why = run(&oracle, true, &truth);
    if (!why)
        why = noise(&oracle, &truth, unit, &own);
    if (!why)
        why = run(&fast, false, &got);
    if (!why) {
        why = compare(&fast, &truth, &got, unit, &own);
        clear(&got);
    }
    clear(&own);
    clear(&truth);
    return why;
}

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* The width that was asked for, over little time; then a narrow one over more, so that chunks and tiles have borders. */
const char *bench_agrees(const struct runner_ask *ask, const char *impl)
{
    struct runner_ask small = *ask;
    ptrdiff_t heads = ask->heads > 0 ? ask->heads : 1;
    const char *why;

    small.room = 0;
    small.stirred = true;
    small.batch = least(ask->batch, ask->width > 128 ? 1 : 2);
    small.time = ask->width > 512 ? 9 : ask->width > 128 ? 35 : 70;
    why = one_shape(&small, impl);
    if (why || ask->width <= 16 * heads || ask->width % (16 * heads) != 0)
        return why;
    small.batch = 1;
    small.time = ask->mode == RUN_STEP ? 70 : 150;
    small.width = 16 * heads;
    return one_shape(&small, impl);
}
