/* pointer.c: answers that are places in the input: the pointer network, and the two that it was set against.
 *
 *   e_1..e_n = encoder(x_1..x_n),   d_1..d_m = decoder(prefix_1..prefix_m | e_n)
 *   u_ij = v . tanh(W_1 e_j + W_2 d_i)                                        of element j at step i
 *   readout = pointer:    p(C_i = j) = softmax_j(u_ij)                        the alphabet is the input
 *   readout = attention:  d'_i = sum_j softmax_j(u_ij) e_j,   p(C_i) = softmax(W_out [d_i; d'_i] + b_out)
 *   readout = none:       p(C_i) = softmax(W_out d_i + b_out)
 *
 * Vinyals, Fortunato and Jaitly 2015, sections 2.1 to 2.3. prefix is what has been pointed at before step i: in training
 * the right answer's (teacher forcing), in decoding one's own. For attention and none the alphabet has as many letters
 * as the training data needs: later elements cannot be named. For all three a row's letters are its own elements: what
 * comes out are log-probabilities over those, and OUTSIDE for the others, so that cross-entropy and accuracy are those of
 * an alphabet as long as the row.
 *
 * W_1 and W_2 start uniform in +-4/sqrt(width), four times as wide as the rest: where tanh is straight, d_i adds the same
 * to every u_ij, and softmax takes it out again.
 */
#include <assay/layer.h>
#include <math.h>

enum { POINTER, ATTENTION, NONE };
enum { ELEMENT, NOTHING };
enum { W_ENC, B_ENC, W_DEC, B_DEC, W_CODE, W_1, W_2, V, W_OUT, B_OUT };
enum { ENCODER, DECODER };
enum { X, PREFIX };
enum { OUTSIDE = -100 };                    /* e^-100 is nothing beside 1, also in double */
struct pointer { int readout, width, feed; };

static const struct as_option options[] = {
    { "readout", AS_WORD, offsetof(struct pointer, readout), POINTER, 0, 0, "pointer|attention|none",
      "pointer,attention,none", "what the decoder's state points at or says: elements, or letters of a fixed alphabet" },
    { "width", AS_INT, offsetof(struct pointer, width), 32, 1, 65536, NULL, "32,64,128",
      "of what encoder and decoder read, and of the tanh in u" },
    { "feed", AS_WORD, offsetof(struct pointer, feed), ELEMENT, 0, 0, "element|nothing", "element,nothing",
      "what the decoder reads at each step: the element pointed at last, or nothing" },
    { 0 }
};

static const struct as_slot slots[] = {
    { "encoder", "lstm", "the recurrence that reads the elements" },
    { "decoder", "lstm", "the recurrence that points" },
    { 0 }
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    for (int i = 0; i < n_in; i++)
        if (in[i].dtype != AS_REALS || in[i].rank != 3)
            return "it reads elements (batch, time, numbers), and as prefix those pointed at before";
    return in[X].dim[2] == in[PREFIX].dim[2] ? NULL : "the prefix is made of elements, and has other sizes than they";
}

/* Plans encoder or decoder; returns the width of its states. */
static ptrdiff_t plan_recurrence(struct as_plan *p, int slot, ptrdiff_t width)
{
    struct as_spec in = { .dtype = AS_REALS, .rank = 3, .dim = { AS_ANY, AS_ANY, width } };
    const struct as_spec *out = as_plan_child(p, slot, 0, 1, &in);

    if (!out)
        as_plan_refuse(p, as_say("%s = none: it needs a recurrence (lstm, gru, ...)", slots[slot].name));
    if (out->rank != 3)
        as_plan_refuse(p, as_say("its %s must give (batch, time, width)", slots[slot].name));
    return out->dim[2];
}

static void plan(struct as_plan *p)
{
    const struct pointer *o = p->opt;
    struct as_init fan = { .spread = AS_FAN_IN }, zero = { .spread = AS_ZERO }, bent = { .spread = AS_FAN_IN, .a = 4 };
    ptrdiff_t w = o->width, k = p->in[X].dim[2], e = plan_recurrence(p, ENCODER, w), d = plan_recurrence(p, DECODER, w);
    ptrdiff_t seen = o->readout == ATTENTION ? d + e : d;

    as_weight(p, W_ENC, "W_enc", AS_MATRIX, fan, 2, (ptrdiff_t[]){ w, k });
    as_weight(p, B_ENC, "b_enc", AS_BIAS, zero, 1, &w);
    if (o->feed == ELEMENT)
        as_weight(p, W_DEC, "W_dec", AS_MATRIX, fan, 2, (ptrdiff_t[]){ w, k });
    as_weight(p, B_DEC, "b_dec", AS_BIAS, zero, 1, &w);
    as_weight(p, W_CODE, "W_code", AS_MATRIX, fan, 2, (ptrdiff_t[]){ w, e });
    if (o->readout != NONE) {
        as_weight(p, W_1, "W_1", AS_MATRIX, bent, 2, (ptrdiff_t[]){ w, e });
        as_weight(p, W_2, "W_2", AS_MATRIX, bent, 2, (ptrdiff_t[]){ w, d });
        as_weight(p, V, "v", AS_MATRIX, fan, 2, (ptrdiff_t[]){ 1, w });
    }
    if (o->readout == POINTER) {
        as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, AS_ANY });
        return;
    }
    if (p->classes < 1)
        as_plan_refuse(p, "the data names no number of outputs");
    as_weight(p, W_OUT, "W_out", AS_MATRIX, fan, 2, (ptrdiff_t[]){ p->classes, seen });
    as_weight(p, B_OUT, "b_out", AS_BIAS, zero, 1, &p->classes);
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, p->classes });
}

static struct as_node *constant(struct as_tape *t, real value)
{
    struct as_node *a = as_node_new(t, 1, (ptrdiff_t[]){ 1 });

    a->x[0] = value;
    return a;
}

/* (batch, 1, letters): whether letter j is an element of the row. */
static struct as_node *inside(struct as_tape *t, const struct as_node *x, ptrdiff_t letters)
{
    struct as_node *mask = as_node_ints(t, 3, (ptrdiff_t[]){ x->dim[0], 1, letters });

    for (ptrdiff_t b = 0; b < x->dim[0]; b++)
        for (ptrdiff_t j = 0; j < letters; j++)
            mask->i[b * letters + j] = j < (x->length ? x->length[b] : x->dim[1]);
    return mask;
}

/* u (batch, steps, elements) of e (batch, elements, ...) at d (batch, steps, ...). */
static struct as_node *scores(struct as_graph *g, struct as_node *e, struct as_node *d)
{
    struct as_tape *t = g->t;
    struct as_node *key = as_linear(t, e, as_w(g, W_1), NULL), *query = as_linear(t, d, as_w(g, W_2), NULL), *u;
    ptrdiff_t batch = e->dim[0], n = e->dim[1], m = d->dim[1], w = key->dim[2];

    key = as_reshape(t, key, 4, (ptrdiff_t[]){ batch, 1, n, w });
    query = as_reshape(t, query, 4, (ptrdiff_t[]){ batch, m, 1, w });
    u = as_linear(t, as_tanh(t, as_add(t, key, query)), as_w(g, V), NULL);
    return as_reshape(t, u, 3, (ptrdiff_t[]){ batch, m, n });
}

/* The decoder's states, from what it is fed and what the encoder's last state says of the whole input. */
static struct as_node *decode(struct as_graph *g, struct as_node *e)
{
    struct as_tape *t = g->t;
    const struct as_node *prefix = g->in[PREFIX];
    struct as_node *code = as_linear(t, as_time_last(t, e), as_w(g, W_CODE), as_w(g, B_DEC)), *in;

    code = as_reshape(t, code, 3, (ptrdiff_t[]){ code->dim[0], 1, code->dim[1] });
    if (((const struct pointer *)g->opt)->feed == ELEMENT)
        in = as_add(t, as_linear(t, g->in[PREFIX], as_w(g, W_DEC), NULL), code);
    else
        in = as_repeat(t, code, 1, prefix->dim[1]);
    in->length = prefix->length;
    return as_child(g, DECODER, 0, in);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct pointer *o = g->opt;
    struct as_tape *t = g->t;
    struct as_node *e = as_child(g, ENCODER, 0, as_linear(t, x, as_w(g, W_ENC), as_w(g, B_ENC)));
    struct as_node *d = decode(g, e), *y = o->readout == NONE ? d : scores(g, e, d), *mask, *never;

    never = constant(t, (real)-INFINITY);
    if (o->readout == ATTENTION) {
        y = as_softmax(t, as_where(t, inside(t, x, x->dim[1]), y, never));
        y = as_concat(t, 2, (struct as_node *[]){ d, as_bmm(t, y, false, e, false) }, 2);
    }
    if (o->readout != POINTER)
        y = as_linear(t, y, as_w(g, W_OUT), as_w(g, B_OUT));
    mask = inside(t, x, y->dim[2]);
    y = as_logsoftmax(t, as_where(t, mask, y, never));
    y = as_where(t, mask, y, constant(t, (real)OUTSIDE));
    y->length = g->in[PREFIX]->length;
    return y;
}

static const struct as_variant pointer = {
    .abi = ASSAY_ABI,
    .summary = "pointer network: a sequence of places in the input; or seq2seq over a fixed alphabet, with attention or none",
    .paper = { .key = "vinyals2015pointer", .title = "Pointer Networks", .url = "https://arxiv.org/abs/1506.03134",
               .year = 2015, .id = 48, .where = "sections 2.1 to 2.3",
               .departs = "the encoder's last h goes to the decoder as an input at every step, not (h, c) as its first "
                          "state; both read the elements through a linear map; the blend d' of attention is not fed to "
                          "the next step; a row's letters are its own elements in the controls, too; W_1 and W_2 start wide" },
    .options = options, .opt_size = sizeof(struct pointer), .slots = slots,
    .ports = (const char *const[]){ "x", "prefix", NULL },
    .samples = (const struct as_sample[]){ { .rank = 1, .dim = { 2 } }, { .rank = 1, .dim = { 2 } } },
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(model__pointer) = { .abi = ASSAY_ABI, .variant = &pointer };
