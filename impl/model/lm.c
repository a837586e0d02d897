/* lm.c: a model of sequences of tokens: embedding, depth blocks, a norm, logits of the next token at every step.
 *
 * The head is W x + b, or, tied, the embedding itself without a bias (Press and Wolf 2017; Inan et al. 2017).
 * Embeddings start as N(0, 1), tied ones as N(0, 1 / width) so that the first logits are of size one.
 */
#include "stack.h"

struct lm { struct stack s; int tied; };

static const struct as_option options[] = {
    STACK_OPTIONS(lm, 1),
    { "tied", AS_BOOL, offsetof(struct lm, tied), 0, 0, 0, NULL, "0,1", "the head is the embedding" },
    { 0 }
};

static const struct as_slot slots[] = { STACK_SLOTS };
static const struct as_sample samples[] = { { .vocab = 5 } };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    if (in->dtype != AS_INTS || in->rank != 2)
        return "it reads tokens (batch, time); for real inputs take model = classifier or frames";
    return NULL;
}

static void plan(struct as_plan *p)
{
    const struct lm *o = p->opt;
    struct as_spec x = plan_input(p, &o->s, o->tied ? 1 / sqrt((double)o->s.width) : 1);

    if (o->tied && o->s.embedding == EMBEDDING_FIXED)
        as_plan_refuse(p, "embedding = fixed keeps the embedding as it was drawn, and a tied head would train it: say "
                          "tied = 0");
    plan_blocks(p, &o->s, &x);
    if (!o->tied)
        plan_head(p, &o->s, &x);
    else if (p->classes != p->in->vocab || x.dim[2] != o->s.width)
        as_plan_refuse(p, as_say("tied = 1 wants as many outputs (%td) as tokens (%td), and blocks that keep the width "
                                 "(%d, they give %td)", p->classes, p->in->vocab, o->s.width, x.dim[2]));
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, p->classes });
}

static struct as_node *tied_head(struct as_graph *g, struct as_node *x) { return as_linear(g->t, x, as_w(g, IN), NULL); }

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct lm *o = g->opt;

    x = run_blocks(g, &o->s, run_input(g, &o->s, x));
    return o->tied ? as_head(g, x, tied_head) : run_head(g, x);
}

static const struct as_variant lm = {
    .abi = ASSAY_ABI,
    .summary = "language model: embedding, blocks, logits at every step",
    .paper = { .key = "bengio2003lm", .title = "A neural probabilistic language model",
               .url = "https://www.jmlr.org/papers/v3/bengio03a.html", .year = 2003,
               .where = "the task; tied head: Press and Wolf 2017 (arXiv 1608.05859)",
               .departs = "any stack of blocks in place of the window" },
    .options = options, .opt_size = sizeof(struct lm), .slots = slots, .samples = samples, .promises = AS_FLAT | AS_DRAWS,
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(model__lm) = { .abi = ASSAY_ABI, .variant = &lm };
