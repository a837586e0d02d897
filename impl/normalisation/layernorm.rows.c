/* layernorm.rows.c: the layer norm at each processor level; the whole of it stands in rows.h. */
enum { CENTRED = 1 };
#include "rows.h"

struct layernorm { double eps; int gain, bias; };        /* as in layernorm.c */
enum { GAIN, BIAS };

static struct rows layer_rows(const struct as_call *c)
{
    const struct layernorm *o = c->opt;

    return rows_of(c, o->gain ? c->w[GAIN] : NULL, o->bias ? c->w[BIAS] : NULL, o->eps);
}

static void forward(const struct as_call *c)
{
    struct rows r = layer_rows(c);

    run_forward(&r);
}

static void backward(const struct as_call *c)
{
    struct rows r = layer_rows(c);

    run_backward(&r, r.gain ? c->dw[GAIN] : NULL, r.bias ? c->dw[BIAS] : NULL);
}

static const struct as_impl rows = {
    .abi = ASSAY_ABI, .name = "rows", .rank = 10, .plan = plan, .forward = forward, .backward = backward,
};

const struct as_plugin AS_PLUGIN(normalisation__layernorm__rows) = { .abi = ASSAY_ABI, .impl = { &rows } };
