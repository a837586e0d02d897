/* classifier.c: tokens or real vectors in; class logits at every step, from the last valid step, or from the mean
 * over the valid steps. Embedding or input projection, depth blocks, a norm, a linear head.
 */
#include "stack.h"

enum { EVERY, LAST, MEAN };
struct classifier { struct stack s; int read; };

static const struct as_option options[] = {
    STACK_OPTIONS(classifier, 1),
    { "read", AS_WORD, offsetof(struct classifier, read), EVERY, 0, 0, "every|last|mean", "last,mean",
      "logits at every step, or one row a sequence: of the last step, of the mean over time" },
    { 0 }
};

static const struct as_slot slots[] = { STACK_SLOTS };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    if (in->dtype == AS_INTS ? in->rank != 2 : in->rank != 3)
        return "it reads tokens (batch, time) or real vectors (batch, time, width)";
    return NULL;
}

static void plan(struct as_plan *p)
{
    const struct classifier *o = p->opt;
    struct as_spec x = plan_input(p, &o->s, 1);

    plan_blocks(p, &o->s, &x);
    plan_head(p, &o->s, &x);
    if (o->read == EVERY)
        as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, p->classes });
    else
        as_output(p, 0, 2, (ptrdiff_t[]){ AS_ANY, p->classes });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct classifier *o = g->opt;

    x = run_blocks(g, &o->s, run_input(g, &o->s, x));
    if (o->read == LAST)
        x = as_time_last(g->t, x);
    if (o->read == MEAN)
        x = as_time_mean(g->t, x);
    return run_head(g, x);
}

static const struct as_variant classifier = {
    .abi = ASSAY_ABI,
    .summary = "sequence classifier: logits at every step, of the last one, or of the mean",
    .paper = { .key = "tay2021lra", .title = "Long range arena: a benchmark for efficient transformers",
               .url = "https://arxiv.org/abs/2011.04006", .year = 2020, .where = "section 2.2, the encoder tasks",
               .departs = "any stack of blocks; also one answer a step" },
    .options = options, .opt_size = sizeof(struct classifier), .slots = slots, .promises = AS_FLAT | AS_DRAWS,
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(model__classifier) = { .abi = ASSAY_ABI, .variant = &classifier };
