/* pointing-sort.c: does a network that points learn to sort, and more numbers than it was trained on? It is trained as the
 * experiment says ([data] sorting, [model], [train]) and answers by itself (pointing.h). Of each test:
 *
 *   exact    share of answers that are the right order, closed by the mark
 *   placed   share of places with the right number
 *
 * near: of n = near numbers; far: of n = far, which as a curve go over all n tested.
 */
#include "pointing.h"

static const struct as_study_metric metrics[] = {
    { "exact_near", "raw", "share of answers that are the right order, n = near" },
    { "placed_near", "raw", "share of places with the right number, n = near" },
    { "exact_far", "raw", "share of answers that are the right order, n = far; as a curve over n" },
    { "placed_far", "raw", "share of places with the right number, n = far; as a curve over n" },
    { "accuracy", "raw", "share of right steps when fed with the right answer, n as trained; as a curve, of validation" },
    { 0 }
};

struct tally { double exact, placed; };

static void judge(void *ctx, const struct pointing_said *s)
{
    struct tally *sum = ctx;
    double right = 0;

    for (ptrdiff_t i = 0; i < s->asked && i < s->count; i++)
        right += s->row[i] == s->target[i];
    sum->placed += right / (double)s->asked;
    sum->exact += pointing_exact(s);
}

static struct tally test(struct pointing *p, int n)
{
    struct as_study_run *r = p->run;
    struct tally sum = { 0 };
    double all = p->o->examples;

    pointing_test(p, n, judge, &sum);
    sum = (struct tally){ sum.exact / all, sum.placed / all };
    r->curve(r->ctx, "exact_far", n, sum.exact);
    r->curve(r->ctx, "placed_far", n, sum.placed);
    return sum;
}

static void run(struct as_study_run *r)
{
    const struct pointing_opt *o = r->opt;
    struct pointing p = pointing_train(r);
    struct tally near = test(&p, o->near), far = near;

    for (int n = o->near; n < o->far; ) {
        n = n + o->by < o->far ? n + o->by : o->far;
        far = test(&p, n);
    }
    r->record(r->ctx, "exact_near", near.exact);
    r->record(r->ctx, "placed_near", near.placed);
    r->record(r->ctx, "exact_far", far.exact);
    r->record(r->ctx, "placed_far", far.placed);
    pointing_end(&p);
}

static const char *const sample[] = { "data.source", "sorting", "data.n", "3..5", "model", "pointer", "width", "8",
                                      "train.steps", "20", "train.batch", "8", "train.select", "last", NULL };

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "sorting by pointing: exact answers, also with more numbers than in training",
    .options = pointing_options, .opt_size = sizeof(struct pointing_opt),
    .metrics = metrics,
    .run = run,
    .sample = sample,
};

const struct as_plugin AS_PLUGIN(study__pointing_sort) = { .abi = ASSAY_ABI, .study = &study };
