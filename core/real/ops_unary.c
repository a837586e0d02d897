/* ops_unary.c: element-wise operators of one input. Each is two loops, which stand in core/kernel/unary.h: values,
 * and the derivative times what comes back. */
#include "ops_private.h"

#include "../kernel/kernels.h"
#ifdef ASSAY_DOUBLE
#define AS_UNARY_LOOPS
#endif
#include "../kernel/unary.h"

#ifdef ASSAY_DOUBLE
#define LOOPS unary_loops
#else
#define LOOPS as_unary_loops()
#endif

const struct as_unary *as_op_unary(int name) { return LOOPS[name]; }

struct run { const struct as_unary *op; const real *x, *dy; real *y, *dx; const double *a; bool fresh; };

static void value_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct run *c = ctx;
    c->op->value(to - from, c->x + from, c->y + from, c->a);
}

static void back_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct run *c = ctx;
    c->op->back(to - from, c->x + from, c->y + from, c->dy + from, c->dx + from, c->fresh, c->a);
}

static void unary_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *a = note->in[0];
    struct run c = { .op = note->saved, .x = a->x, .y = note->out->x, .dy = note->out->dx, .a = note->a };
    c.dx = as_gradient_over(t, a, note->out, &c.fresh);
    if (c.dx)
        as_op_rows(as_node_size(a), 1, c.op->cost, back_run, &c);
}

/* a0 and a1 are the operator's numbers. */
static struct as_node *apply(struct as_tape *t, struct as_node *a, enum as_unary_name name, double a0, double a1)
{
    const struct as_unary *op = LOOPS[name];
    as_op_reals(op->name, a);
    const double numbers[2] = { a0, a1 };
    struct as_node *out = as_node_like(t, a);
    struct run c = { .op = op, .x = a->x, .y = out->x, .a = numbers };
    as_op_rows(as_node_size(a), 1, op->cost, value_run, &c);
    struct as_note *note = as_note_new(t, unary_back, out, 1, (struct as_node *[]){ a });
    if (note) {
        note->saved = (void *)(uintptr_t)op;     /* constant; only read */
        note->a[0] = a0;
        note->a[1] = a1;
    }
    return out;
}

struct as_node *as_scale(struct as_tape *t, struct as_node *a, double factor)
{
    return apply(t, a, AS_SCALE, factor, 0);
}

struct as_node *as_shift_by(struct as_tape *t, struct as_node *a, double term)
{
    return apply(t, a, AS_SHIFT_BY, term, 0);
}

struct as_node *as_clip(struct as_tape *t, struct as_node *a, double lo, double hi)
{
    if (!(lo <= hi))
        as_fail(AS_FAILED, "clip: the lower bound %g is above the upper %g", lo, hi);
    return apply(t, a, AS_CLIP, lo, hi);
}

#define OPERATOR(symbol, name)                                      \
    struct as_node *symbol(struct as_tape *t, struct as_node *a)    \
    {                                                               \
        return apply(t, a, name, 0, 0);                             \
    }

OPERATOR(as_neg, AS_NEG)
OPERATOR(as_square, AS_SQUARE)
OPERATOR(as_sqrt, AS_SQRT)
OPERATOR(as_rsqrt, AS_RSQRT)
OPERATOR(as_abs, AS_ABS)
OPERATOR(as_relu, AS_RELU)
OPERATOR(as_sin, AS_SIN)
OPERATOR(as_cos, AS_COS)
OPERATOR(as_exp, AS_EXP)
OPERATOR(as_log, AS_LOG)
OPERATOR(as_tanh, AS_TANH)
OPERATOR(as_sigmoid, AS_SIGMOID)
OPERATOR(as_softplus, AS_SOFTPLUS)
OPERATOR(as_logsigmoid, AS_LOGSIGMOID)
OPERATOR(as_elu, AS_ELU)
OPERATOR(as_elu_one, AS_ELU_ONE)
OPERATOR(as_log1mexp, AS_LOG1MEXP)
OPERATOR(as_silu, AS_SILU)
OPERATOR(as_gelu, AS_GELU)
OPERATOR(as_gelu_tanh, AS_GELU_TANH)
OPERATOR(as_erf, AS_ERF)

struct as_node *as_stop(struct as_tape *t, struct as_node *a)
{
    struct as_node *out = as_node_wrap(t, a->rank, a->dim, a->x, NULL);
    out->dtype = a->dtype;
    out->i = a->i;
    out->length = a->length;
    return out;
}
