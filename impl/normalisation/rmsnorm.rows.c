/* rmsnorm.rows.c: the RMS norm at each processor level; the whole of it stands in rows.h. */
enum { CENTRED = 0 };
#include "rows.h"

struct rmsnorm { double eps; int gain; };        /* as in rmsnorm.c */
enum { GAIN };

static struct rows rms_rows(const struct as_call *c)
{
    const struct rmsnorm *o = c->opt;

    return rows_of(c, o->gain ? c->w[GAIN] : NULL, NULL, o->eps);
}

static void forward(const struct as_call *c)
{
    struct rows r = rms_rows(c);

    run_forward(&r);
}

static void backward(const struct as_call *c)
{
    struct rows r = rms_rows(c);

    run_backward(&r, r.gain ? c->dw[GAIN] : NULL, NULL);
}

static const struct as_impl rows = {
    .abi = ASSAY_ABI, .name = "rows", .rank = 10, .plan = plan, .forward = forward, .backward = backward,
};

const struct as_plugin AS_PLUGIN(normalisation__rmsnorm__rows) = { .abi = ASSAY_ABI, .impl = { &rows } };
