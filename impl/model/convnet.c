/* convnet.c: a classifier of images: a chain of convolution blocks with an activation behind each, halved sides every
 * now and then, the mean over all pixels, a linear head.
 *
 *   h <- act(block_i(h)),  i = 0 .. depth-1;  with residual: h <- act(h + block_i(h)) where the sizes agree
 *   after every `halve` blocks but the last: each 2 x 2 pixels become their mean (a last odd row or column is dropped)
 *   y = W_head mean(h) + b_head
 *
 * Lin et al. 2014, "Network in network", section 3.2 (the mean instead of fully connected layers); blocks with batch
 * normalisation and the residual path as in He et al. 2016. All copies of the block have one configuration, so their
 * number of channels does not grow with the depth (block.channels). Real images (batch, height, width, channels);
 * (batch, height, width) is one grey channel.
 */
#include <assay/layer.h>

struct convnet { int depth, halve, residual; };
enum { HEAD, HEAD_B };
enum { BLOCK, ACT };

static const struct as_option options[] = {
    { "depth", AS_INT, offsetof(struct convnet, depth), 2, 1, 32, NULL, "2,4,8", "number of blocks" },
    { "halve", AS_INT, offsetof(struct convnet, halve), 1, 0, 32, NULL, "0,1,2",
      "the sides after so many blocks; 0: never" },
    { "residual", AS_BOOL, offsetof(struct convnet, residual), 0, 0, 0, NULL, "0,1", "with paths past the blocks" },
    { 0 }
};

static const struct as_slot slots[] = {
    { "block", "conv-bn", "convolution over images, sides kept" },
    { "act", "relu", "activation behind each block" },
    { 0 }
};

static const struct as_sample samples[] = { { .rank = 2, .dim = { 8, 3 } } };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    if (in->dtype != AS_REALS || (in->rank != 3 && in->rank != 4))
        return "it reads real images (batch, height, width, channels), or (batch, height, width) of one channel";
    return NULL;
}

static bool halves(const struct convnet *o, int i)
{
    return o->halve && (i + 1) % o->halve == 0 && i + 1 < o->depth;
}

static ptrdiff_t half(ptrdiff_t side) { return side == AS_ANY || side < 2 ? side : side / 2; }

static void plan(struct as_plan *p)
{
    const struct convnet *o = p->opt;
    struct as_spec h = *p->in;

    if (p->classes < 1)
        as_plan_refuse(p, "the data names no number of outputs");
    if (h.rank == 3) {
        h.rank = 4;
        h.dim[3] = 1;
    }
    for (int i = 0; i < o->depth; i++) {
        const struct as_spec *out = as_plan_child(p, BLOCK, i, 1, &h);

        if (!out || out->dtype != AS_REALS || out->rank != 4)
            as_plan_refuse(p, "its blocks must give (batch, height, width, channels): conv-bn does");
        h = *out;
        out = as_plan_child(p, ACT, i, 1, &h);
        if (out && (out->rank != 4 || out->dim[3] != h.dim[3]))
            as_plan_refuse(p, "act must keep the sizes");
        for (int axis = 1; axis <= 2 && halves(o, i); axis++)
            h.dim[axis] = half(h.dim[axis]);
    }
    as_weight(p, HEAD, "W_head", AS_MATRIX, (struct as_init){ .spread = AS_FAN_IN }, 2,
              (ptrdiff_t[]){ p->classes, h.dim[3] });
    as_weight(p, HEAD_B, "b_head", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, (ptrdiff_t[]){ p->classes });
    as_output(p, 0, 2, (ptrdiff_t[]){ AS_ANY, p->classes });
}

/* Means of neighbours along the height; a side of one stays. */
static struct as_node *halve_height(struct as_graph *g, struct as_node *h)
{
    ptrdiff_t n = h->dim[1] / 2, *d = h->dim;

    if (n == 0)
        return h;
    h = as_slice(g->t, h, 1, 0, 2 * n);
    h = as_mean(g->t, as_reshape(g->t, h, 5, (ptrdiff_t[]){ d[0], n, 2, d[2], d[3] }), 2, false);
    return h;
}

static struct as_node *halve(struct as_graph *g, struct as_node *h)
{
    h = as_swap(g->t, halve_height(g, h), 1, 2);
    return as_swap(g->t, halve_height(g, h), 1, 2);
}

static struct as_node *graph(struct as_graph *g, struct as_node *h)
{
    const struct convnet *o = g->opt;

    if (h->rank == 3)
        h = as_reshape(g->t, h, 4, (ptrdiff_t[]){ h->dim[0], h->dim[1], h->dim[2], 1 });
    for (int i = 0; i < o->depth; i++) {
        struct as_node *y = as_child(g, BLOCK, i, h);

        if (o->residual && y->dim[3] == h->dim[3])
            y = as_add(g->t, h, y);
        h = as_child(g, ACT, i, y);
        if (halves(o, i))
            h = halve(g, h);
    }
    h = as_reshape(g->t, h, 3, (ptrdiff_t[]){ h->dim[0], h->dim[1] * h->dim[2], h->dim[3] });
    return as_linear(g->t, as_mean(g->t, h, 1, false), as_w(g, HEAD), as_w(g, HEAD_B));
}

static const struct as_variant convnet = {
    .abi = ASSAY_ABI,
    .summary = "convolutional network for images: blocks, the mean over all pixels, a linear head",
    .paper = { .key = "lin2014nin", .title = "Network in network", .url = "https://arxiv.org/abs/1312.4400",
               .year = 2014, .where = "section 3.2; residual paths: He et al. 2016, eq. 1",
               .departs = "one convolution a block; means of 2 x 2 pixels for its maxima" },
    .options = options, .opt_size = sizeof(struct convnet), .slots = slots, .samples = samples, .promises = AS_FLAT,
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(model__convnet) = { .abi = ASSAY_ABI, .variant = &convnet };
