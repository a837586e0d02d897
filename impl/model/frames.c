/* frames.c: real vectors in, outputs at every step, as for the polyphonic music of Chung et al. 2014: there the
 * cell reads the 88 keys themselves (input = raw, block = plain) and a linear head gives the logits of the next
 * frame's keys.
 */
#include "stack.h"

enum { RAW, PROJECTED };
struct frames { struct stack s; int input; };

static const struct as_option options[] = {
    STACK_OPTIONS(frames, 0),
    { "input", AS_WORD, offsetof(struct frames, input), RAW, 0, 0, "raw|projected", "raw,projected",
      "the blocks read the frames themselves (width is not used), or a linear map of them to the width" },
    { 0 }
};

static const struct as_slot slots[] = { STACK_SLOTS };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "it reads real frames (batch, time, width)";
    return NULL;
}

static void plan(struct as_plan *p)
{
    const struct frames *o = p->opt;
    struct as_spec x = *p->in;

    if (o->input == PROJECTED)
        x = plan_input(p, &o->s, 1);
    plan_blocks(p, &o->s, &x);
    plan_head(p, &o->s, &x);
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, p->classes });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct frames *o = g->opt;

    if (o->input == PROJECTED)
        x = run_input(g, &o->s, x);
    return run_head(g, run_blocks(g, &o->s, x));
}

static const struct as_variant frames = {
    .abi = ASSAY_ABI,
    .summary = "per-step outputs from real frames",
    .paper = { .key = "chung2014gated",
               .title = "Empirical evaluation of gated recurrent neural networks on sequence modeling",
               .url = "https://arxiv.org/abs/1412.3555", .year = 2014, .id = 167, .where = "section 4.2",
               .departs = "any stack of blocks between frames and head" },
    .options = options, .opt_size = sizeof(struct frames), .slots = slots, .promises = AS_FLAT | AS_DRAWS,
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(model__frames) = { .abi = ASSAY_ABI, .variant = &frames };
