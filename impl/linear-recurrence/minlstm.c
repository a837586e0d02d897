/* minlstm.c: minimal LSTM: gates that see the input only, so that time runs in parallel.
 *
 *   f_t = sigmoid(W_f x_t + b_f),   i_t = sigmoid(W_i x_t + b_i)
 *   f'_t = f_t / (f_t + i_t),   i'_t = i_t / (f_t + i_t)
 *   c_t = g(W_h x_t + b_h),   g(x) = x + 1/2 for x >= 0, else sigmoid(x)
 *   h_t = f'_t * h_{t-1} + i'_t * c_t,   h_0 = 0
 *
 * Feng et al. 2024, section 3.2 and appendix B; form = plain leaves g out (c_t = W_h x_t + b_h), as the paper's
 * plain-space version. Rows of W and b: f, i, then the candidate. With d = log f - log i, f' = sigmoid(d). The
 * recurrence stands in the slot `core`.
 */
#include "minimal.h"

enum { LOG, PLAIN };
struct minlstm { int hidden, bias, form; };
enum { W, B };

static const struct as_option options[] = {
    { "hidden", AS_INT, offsetof(struct minlstm, hidden), 0, 0, 65536, NULL, "64,128", "units of h; 0: the width" },
    { "bias", AS_BOOL, offsetof(struct minlstm, bias), 1, 0, 0, NULL, NULL, "with biases" },
    { "form", AS_WORD, offsetof(struct minlstm, form), LOG, 0, 0, "log|plain", "log,plain",
      "log: candidates through g, so that h stays positive; plain: without g" },
    { 0 }
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "it works on (batch, time, width)";
    return NULL;
}

static ptrdiff_t units(const void *opt, ptrdiff_t d)
{
    return ((const struct minlstm *)opt)->hidden ? ((const struct minlstm *)opt)->hidden : d;
}

static void plan(struct as_plan *p)
{
    ptrdiff_t d = p->in->dim[2], h = units(p->opt, d);

    as_weight(p, W, "W", AS_MATRIX, (struct as_init){ .spread = AS_FAN_IN }, 2, (ptrdiff_t[]){ 3 * h, d });
    if (((const struct minlstm *)p->opt)->bias)
        as_weight(p, B, "b", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, (ptrdiff_t[]){ 3 * h });
    plan_core(p, h);
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, h });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct minlstm *o = g->opt;
    struct as_tape *t = g->t;
    struct as_node *all = as_linear(t, x, as_w(g, W), o->bias ? as_w(g, B) : NULL);
    ptrdiff_t h = all->dim[2] / 3;
    struct as_node *f = as_logsigmoid(t, as_slice(t, all, 2, 0, h)), *i = as_logsigmoid(t, as_slice(t, all, 2, h, h));
    struct as_node *c = as_slice(t, all, 2, 2 * h, h), *d = as_sub(t, f, i);

    c = as_mul(t, as_sigmoid(t, as_neg(t, d)), o->form == LOG ? positive(t, c) : c);
    return recurrence(g, as_sigmoid(t, d), c, x->length);
}

static const struct as_variant minlstm = {
    .abi = ASSAY_ABI,
    .summary = "minimal LSTM: input-only normalised gates, parallel over time",
    .paper = { .key = "feng2024minimal", .title = "Were RNNs all we needed?",
               .url = "https://arxiv.org/abs/2410.01201", .year = 2024, .where = "section 3.2, appendix B",
               .departs = "h_0 = 0; the gradient of g at 0 is 1; computed by the "
                          "recurrence itself, not in log-space, which loses digits over long times" },
    .options = options, .slots = slots, .opt_size = sizeof(struct minlstm),
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(linear_recurrence__minlstm) = {
    .abi = ASSAY_ABI, .variant = &minlstm,
};
