/* elstm.c: LSTM whose recurrence is element-wise, so that real-time recurrent learning is cheap and exact.
 *
 *   f_t = sigmoid(F x_t + w_f * c_{t-1} + b_f)
 *   z_t = tanh   (Z x_t + w_z * c_{t-1} + b_z)
 *   c_t = f_t * c_{t-1} + (1 - f_t) * z_t,   c_0 = 0
 *   o_t = sigmoid(O x_t + W_o c_t + b_o),    h_t = o_t * c_t
 *
 * Irie, Gopalakrishnan and Schmidhuber 2023, section 3.1. Rows of W, w and b: f, then z. Unit k of c sees its own past
 * only, so dc_k/dtheta is a vector for the weights of unit k, and goes on by itself (section 3.2):
 *
 *   J_k  = f + (c' - z) f (1 - f) w_f + (1 - f) (1 - z^2) w_z                                 (c' = c_{t-1})
 *   dc_k/dF_kj <- J_k dc'_k/dF_kj + (c' - z) f (1 - f) x_j         (times c' for w_f, times 1 for b_f)
 *   dc_k/dZ_kj <- J_k dc'_k/dZ_kj + (1 - f) (1 - z^2) x_j          (times c' for w_z, times 1 for b_z)
 *   dL/dF_kj    = sum over t of dL_t/dc_k dc_k/dF_kj,  dL_t/dc_k through h_t alone
 *
 * With sensitivities = on, these stand among the states and a rule that goes step by step (`online` with window = 1)
 * gets the gradient of the whole past without going back; x gets the gradient of its own step only, which is why two
 * layers are not exact. frozen = on leaves every weight as it was drawn: a control.
 */
#include "trace.h"

#include <assay/parallel.h>
#include <string.h>
#include <tgmath.h>

struct elstm { int hidden, sensitivities, frozen; double forget_bias; };
enum { W, RECURRENT, B, W_X, W_O, B_O };          /* (2h, d), (2, h), (2, h), (h, d), (h, h), (h) */
enum { C, S_W, S_RECURRENT, S_B };                /* c (h); sensitivities (2h, d), (2, h), (2, h) */

static const struct as_option options[] = {
    { "hidden", AS_INT, offsetof(struct elstm, hidden), 0, 0, 65536, NULL, "32,64", "units of c; 0: the width" },
    { "forget_bias", AS_NUM, offsetof(struct elstm, forget_bias), 1, -20, 20, NULL, "0,1,3", "initial b_f" },
    { "sensitivities", AS_BOOL, offsetof(struct elstm, sensitivities), 0, 0, 0, NULL, "0,1",
      "carries dc/dtheta from step to step, for rules that learn step by step" },
    { "frozen", AS_BOOL, offsetof(struct elstm, frozen), 0, 0, 0, NULL, "0,1", "weights stay as they were drawn" },
    { 0 }
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    const struct elstm *o = opt;

    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "it works on (batch, time, width)";
    return o->frozen && o->sensitivities ? "frozen weights have no use for sensitivities: turn one of them off" : NULL;
}

static ptrdiff_t units(const struct elstm *o, ptrdiff_t d) { return o->hidden ? o->hidden : d; }

static void draw_bias(const void *opt, struct as_key key, ptrdiff_t n, float *b)
{
    (void)key;
    for (ptrdiff_t i = 0; i < n; i++)
        b[i] = i < n / 2 ? (float)((const struct elstm *)opt)->forget_bias : 0.0f;
}

static void plan(struct as_plan *p)
{
    const struct elstm *o = p->opt;
    ptrdiff_t d = p->in->dim[2], h = units(o, d);
    struct as_init fan = { .spread = AS_FAN_IN }, zero = { .spread = AS_ZERO };

    as_weight(p, W, "W", AS_MATRIX, fan, 2, (ptrdiff_t[]){ 2 * h, d });
    as_weight(p, RECURRENT, "w", AS_RECURRENCE, (struct as_init){ .spread = AS_NORMAL, .b = 0.1 }, 2,
              (ptrdiff_t[]){ 2, h });
    as_weight(p, B, "b", AS_BIAS, (struct as_init){ .spread = AS_DRAWN, .draw = draw_bias }, 2, (ptrdiff_t[]){ 2, h });
    as_weight(p, W_X, "O", AS_MATRIX, fan, 2, (ptrdiff_t[]){ h, d });
    as_weight(p, W_O, "W_o", AS_MATRIX, fan, 2, (ptrdiff_t[]){ h, h });
    as_weight(p, B_O, "b_o", AS_BIAS, zero, 1, (ptrdiff_t[]){ h });
    as_state(p, C, "c", zero, 2, (ptrdiff_t[]){ AS_ANY, h });
    if (o->sensitivities) {
        as_state(p, S_W, "dc/dW", zero, 3, (ptrdiff_t[]){ AS_ANY, 2 * h, d });
        as_state(p, S_RECURRENT, "dc/dw", zero, 3, (ptrdiff_t[]){ AS_ANY, 2, h });
        as_state(p, S_B, "dc/db", zero, 3, (ptrdiff_t[]){ AS_ANY, 2, h });
    }
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, h });
}

static struct as_node *weight(struct as_graph *g, int place)
{
    return ((const struct elstm *)g->opt)->frozen ? as_stop(g->t, as_w(g, place)) : as_w(g, place);
}

/* --- the graph ----------------------------------------------------------------------------------------------- */

/* x (rows, 1, d) -> c (rows, h). Sensitivities carry the whole past: more steps in a piece would count it twice. */
static struct as_node *traced(struct as_graph *g, struct as_node *x)
{
    struct as_tape *t = g->t;
    struct as_node *in[] = { x, as_w(g, W), as_w(g, RECURRENT), as_w(g, B) }, *state = as_graph_state(g, C), *a, *c;
    struct as_node *dw = as_graph_state(g, S_W), *dr = as_graph_state(g, S_RECURRENT), *db = as_graph_state(g, S_B);
    struct trace *s = as_arena_take(as_tape_arena(t), sizeof *s);
    struct as_note *note;
    bool was = as_tape_record(t, false);

    if (state->wants)
        as_fail(AS_REFUSED, "sensitivities = on carries the past by itself: it wants rule.window = 1");
    a = as_linear(t, x, in[1], as_reshape(t, in[3], 1, (ptrdiff_t[]){ -1 }));
    as_tape_record(t, was);
    *s = (struct trace){ .h = in[2]->dim[1], .d = x->dim[2], .rows = x->dim[0], .x = x->x, .a = a->x, .w = in[2]->x,
                         .w_x = in[1]->x, .c = state->x, .s_w = dw->x, .s_r = dr->x, .s_b = db->x };
    s->direct = as_arena_take(as_tape_arena(t), as_size((size_t)(s->rows * 2 * s->h), sizeof *s->direct));
    as_parallel(s->rows, 4.0 * (double)(s->rows * s->h * (s->d + 20)), trace_row, s);
    c = as_node_new(t, 2, state->dim);
    memcpy(c->x, s->c, (size_t)(s->rows * s->h) * sizeof *c->x);
    note = as_note_new(t, trace_back, c, 4, in);
    if (note)
        note->saved = s;
    as_graph_state_set(g, C, c);
    as_graph_state_set(g, S_W, dw);
    as_graph_state_set(g, S_RECURRENT, dr);
    as_graph_state_set(g, S_B, db);
    return as_reshape(t, c, 3, (ptrdiff_t[]){ s->rows, 1, s->h });
}

/* c of every step: (batch, time, h). */
static struct as_node *cells(struct as_graph *g, struct as_node *x)
{
    struct as_tape *t = g->t;
    ptrdiff_t batch = x->dim[0], time = x->dim[1], h = as_w(g, RECURRENT)->dim[1];
    struct as_node *w = weight(g, RECURRENT), *w_f = as_slice(t, w, 0, 0, 1), *w_z = as_slice(t, w, 0, 1, 1);
    struct as_node *a = as_linear(t, x, weight(g, W), as_reshape(t, weight(g, B), 1, (ptrdiff_t[]){ 2 * h }));
    struct as_node *c = g->streaming ? as_graph_state(g, C) : NULL;
    struct as_node **all = as_arena_take(as_tape_arena(t), as_size((size_t)time, sizeof *all));

    for (ptrdiff_t s = 0; s < time; s++) {
        struct as_node *now = as_reshape(t, as_slice(t, a, 1, s, 1), 2, (ptrdiff_t[]){ batch, 2 * h });
        struct as_node *f = as_slice(t, now, 1, 0, h), *z = as_slice(t, now, 1, h, h);

        f = as_sigmoid(t, c ? as_add(t, f, as_mul(t, c, w_f)) : f);
        z = as_tanh(t, c ? as_add(t, z, as_mul(t, c, w_z)) : z);
        all[s] = c = c ? as_add(t, z, as_mul(t, f, as_sub(t, c, z))) : as_sub(t, z, as_mul(t, f, z));
    }
    if (g->streaming)
        as_graph_state_set(g, C, c);
    return as_stack(t, (int)time, all, 1);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    struct as_tape *t = g->t;
    bool trace = g->streaming && g->training && ((const struct elstm *)g->opt)->sensitivities;
    struct as_node *c = trace ? traced(g, x) : cells(g, x), *y;
    struct as_node *o = as_add(t, as_linear(t, x, weight(g, W_X), weight(g, B_O)), as_matmul_t(t, c, weight(g, W_O)));

    y = as_mul(t, as_sigmoid(t, o), c);
    y->length = x->length;
    return y;
}

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    double d = (double)in->dim[2], h = (double)units(opt, in->dim[2]);

    (void)n_in;
    return (struct as_cost){ .flop = (double)in->dim[0] * (double)in->dim[1] * h * (6 * d + 2 * h + 14) };
}

/* --- ref: one row, one step, as the equations stand ---------------------------------------------------------- */

static real affine(const real *w, const real *x, ptrdiff_t n, real sum)
{
    for (ptrdiff_t j = 0; j < n; j++)
        sum += w[j] * x[j];
    return sum;
}

static void step(const struct as_call *call)
{
    ptrdiff_t d = call->in->dim[call->in->rank - 1], h = units(call->opt, d);
    const real *const *w = call->w;

    for (ptrdiff_t r = 0; r < call->in->dim[0]; r++) {
        const real *x = call->x[0] + r * d;
        real *c = call->state[C] + r * h, *y = call->y + r * h;

        for (ptrdiff_t k = 0; k < h; k++) {
            real f = 1 / (1 + exp(-affine(w[W] + k * d, x, d, w[B][k] + w[RECURRENT][k] * c[k])));
            real z = tanh(affine(w[W] + (h + k) * d, x, d, w[B][h + k] + w[RECURRENT][h + k] * c[k]));

            c[k] = f * c[k] + (1 - f) * z;
        }
        for (ptrdiff_t k = 0; k < h; k++)
            y[k] = c[k] / (1 + exp(-affine(w[W_O] + k * h, c, h, affine(w[W_X] + k * d, x, d, w[B_O][k]))));
    }
}

static const struct as_impl ref = { .abi = ASSAY_ABI, .name = "ref", .rank = -1, .step = step };

static const struct as_variant elstm = {
    .abi = ASSAY_ABI,
    .summary = "LSTM with an element-wise recurrence; carries its own sensitivities for real-time recurrent learning",
    .paper = { .key = "irie2023rtrl", .title = "Exploring the Promise and Limits of Real-Time Recurrent Learning",
               .url = "https://arxiv.org/abs/2305.19044", .year = 2023, .id = 256,
               .where = "section 3.1 (eLSTM) and 3.2 (its sensitivities)",
               .departs = "biases on all gates, as in the authors' program; matrices start uniform in "
                          "+-1/sqrt(fan in), w_f and w_z normal with deviation 0.1; the forget bias starts at 1" },
    .options = options, .opt_size = sizeof(struct elstm),
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph, .cost = cost,
};

const struct as_plugin AS_PLUGIN(recurrent__elstm) = { .abi = ASSAY_ABI, .variant = &elstm, .impl = { &ref } };
