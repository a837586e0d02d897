/* plan: planning the same again gives the same: weights, states, sizes, and the room of each implementation. */
#include "layer.h"

#include <assay/error.h>

#include <stdlib.h>
#include <string.h>

static const char *differ(const struct form_layout *a, const struct form_layout *b)
{
    if (strcmp(a->why, b->why) != 0)
        return as_say("the first ended with '%s', the second with '%s'", a->why, b->why);
    if (a->n != b->n || a->store != b->store)
        return as_say("%d weights and states of %td numbers, then %d of %td", a->n, a->store, b->n, b->store);
    for (int i = 0; i < a->n; i++) {
        const struct form_weight *p = &a->weight[i], *q = &b->weight[i];

        if (strcmp(p->name, q->name) != 0 || p->kind != q->kind || p->rank != q->rank || p->at != q->at)
            return as_say("weight or state '%s', then '%s'", p->name, q->name);
        if (memcmp(p->dim, q->dim, (size_t)p->rank * sizeof *p->dim) != 0)
            return as_say("the sizes of '%s' are others", p->name);
        if (p->init.spread != q->init.spread || p->init.a != q->init.a || p->init.b != q->init.b ||
            p->init.draw != q->init.draw)
            return as_say("the initialiser of '%s' is another", p->name);
    }
    if (a->out.rank != b->out.rank || memcmp(a->out.dim, b->out.dim, (size_t)a->out.rank * sizeof *a->out.dim) != 0)
        return "the sizes of the output are others";
    return strcmp(a->impl, b->impl) != 0 ? as_say("implementation %s, then %s", a->impl, b->impl) : NULL;
}

/* What one implementation saves and scratches for this case, asked twice. */
static void rooms(struct check_run *r, const struct check_case *c, const struct form_layout *layout)
{
    const struct as_variant *v = check_variant(r);
    struct as_spec in[FORM_PORTS] = { { 0 } }, out = layout->out;
    struct as_choice choice[32];
    int n = as_registry_impls(r->entry, choice, 32);
    void *opt = calloc(1, v->opt_size ? v->opt_size : 1);

    if (!opt || (v->options && check_options_with(v->options, NULL, opt, v->opt_size)))
        as_fail(AS_FAILED, "its options cannot be read with their defaults");
    for (int i = 0; i < c->form.n_in; i++) {
        in[i] = (struct as_spec){ .dtype = c->form.in[i].vocab ? AS_INTS : AS_REALS, .rank = c->form.in[i].rank + 2,
                                  .dim = { c->form.batch, c->form.time }, .vocab = c->form.in[i].vocab };
        memcpy(in[i].dim + 2, c->form.in[i].dim, sizeof c->form.in[i].dim);
    }
    for (int j = 0; j < out.rank; j++)
        out.dim[j] = out.dim[j] == AS_ANY ? in[0].dim[j] : out.dim[j];
    for (int i = 0; i < n && i < 32; i++) {
        const struct as_impl *impl = choice[i].impl;
        struct as_room one = { .opt = opt, .n_in = c->form.n_in, .in = in, .out = &out, .gradients = true }, two = one;

        if (!impl->plan || (impl->can && impl->can(opt, c->form.n_in, in)))
            continue;
        impl->plan(&one);
        impl->plan(&two);
        check_did(r);
        for (int j = 0; j < 8; j++)
            if (one.saved[j] != two.saved[j] || one.scratch[j] != two.scratch[j])
                check_fail(r, "%s.plan() asked for saved[%d] %zu and scratch[%d] %zu, and at once again for %zu and "
                           "%zu (%s)",
                           impl->name, j, one.saved[j], j, one.scratch[j], two.saved[j], two.scratch[j],
                           check_where(c, &c->form));
    }
    free(opt);
}

static void run(struct check_run *r)
{
    static struct check_case c;
    static struct form_layout one, two;

    for (int k = 0; check_case(r, CHECK_SHAPES, k, &c); k++) {
        const char *why;

        one = form_plan(&c.form);
        two = form_plan(&c.form);
        check_did(r);
        why = differ(&one, &two);
        if (why)
            check_fail(r, "planned twice, expected the same: %s (%s)", why, check_where(&c, &c.form));
        if (!c.why[0])
            rooms(r, &c, &one);
    }
}

const struct as_check AS_CHECK(plan) = {
    .name = "plan", .of = CHECK_LAYER, .run = run,
    .proves = "planning the same layer again gives the same weights, states, initialisers, sizes and scratch",
    .cannot = "that what is planned is what the paper says",
};
