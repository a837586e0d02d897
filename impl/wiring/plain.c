/* plain.c: the mixer by itself: no residual path, no normalisation, no feed-forward layer. */
#include <assay/layer.h>

enum { MIXER };

static const struct as_slot slots[] = { { "mixer", NULL, "sequence mixer" }, { 0 } };

static void plan(struct as_plan *p)
{
    const struct as_spec *out = as_plan_child(p, MIXER, 0, 1, p->in);

    if (out)
        as_output(p, 0, out->rank, out->dim);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_child(g, MIXER, 0, x);
}

static const struct as_variant plain = {
    .abi = ASSAY_ABI,
    .summary = "the mixer by itself: no residual path, no normalisation",
    .paper = { .key = "elman1990", .title = "Finding structure in time",
               .url = "https://doi.org/10.1207/s15516709cog1402_1", .year = 1990,
               .where = "layers fed straight into each other", .departs = "nothing" },
    .slots = slots, .promises = AS_FLAT, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(wiring__plain) = { .abi = ASSAY_ABI, .variant = &plain };
