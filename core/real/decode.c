/* decode.c: decoding by whole prefixes, greedily or in blocks; see decode.h. */
#include "layer.h"

#include <assay/decode.h>
#include <string.h>

struct decoder {
    struct as_model *m;
    struct as_decoding how;
    const int32_t *prompt;           /* (batch) lengths */
    struct as_batch in;              /* what the model is given; field 0: prompts, behind them what was made */
    struct as_decoded out;           /* behind out.made[r] tokens stand the pending ones */
    int32_t *pending;                /* (batch) proposals that the next call verifies */
    bool *done;                      /* (batch) */
    ptrdiff_t left;                  /* rows that are not done */
    ptrdiff_t classes;
    const real *head[AS_MAX_BLOCK];  /* of the call under way: logits (batch, time, classes) of p_1..p_k */
};

/* --- setting up --------------------------------------------------------------------------------------------- */

static void check_request(const struct as_model *m, const struct as_batch *prompt, const struct as_decoding *how)
{
    const struct as_data_field *x = &prompt->field[0];

    if (how->most < 1 || how->block < 1 || how->block > AS_MAX_BLOCK || how->top < 1 || how->least < 1 ||
        how->least > how->block)
        as_fail(AS_REFUSED, "decoding: most = %td, block = %d, top = %d, least = %d; most and top are at least 1, "
                            "block is 1..%d, least is 1..block", how->most, how->block, how->top, how->least, AS_MAX_BLOCK);
    if (!x->integer || x->rank != 1 || x->dim[0] != AS_TIME)
        as_fail(AS_REFUSED, "decoding goes on from tokens (batch, time), and the field %s is something else", x->name);
    for (ptrdiff_t r = 0; r < prompt->batch; r++)
        if (prompt->length[r] < 1 || prompt->length[r] > prompt->time)
            as_fail(AS_REFUSED, "decoding: prompt %td has %d tokens; it needs one to go on from", r,
                    (int)prompt->length[r]);
    for (int i = 0; i < m->n_layers; i++) {
        const struct as_layer *l = m->layer[i];

        if (!(l->variant->promises & (AS_CAUSAL | AS_POINTWISE | AS_FLAT)))
            as_fail(AS_REFUSED, "%s (%s/%s) looks at later steps, and decoding has none: take a causal layer", l->path,
                    l->entry->family, l->entry->name);
    }
}

/* Nobody knows how a field goes on at steps that are still to come, but that there is no target. */
static void check_ports(const struct as_model *m, const struct as_batch *prompt)
{
    const char *const *port = m->root->variant->ports;

    for (int i = 1; port && i < m->root->n_in; i++)
        for (int f = 1; f < prompt->n_fields; f++)
            if (strcmp(prompt->field[f].name, port[i]) == 0 && strcmp(port[i], "target") != 0 &&
                prompt->field[f].rank > 0 && prompt->field[f].dim[0] == AS_TIME)
                as_fail(AS_REFUSED, "decoding: the model reads '%s' at every step, and nothing says how it goes on",
                        port[i]);
}

/* Fields of the prompts with the room that the whole sequences need. */
static void set_up_input(struct decoder *d, struct as_arena *a, const struct as_batch *prompt)
{
    struct as_batch *in = &d->in;
    size_t rows = (size_t)prompt->batch;
    ptrdiff_t longest = 0;

    for (ptrdiff_t r = 0; r < prompt->batch; r++)
        longest = prompt->length[r] > longest ? prompt->length[r] : longest;
    *in = *prompt;
    in->time = longest + d->how.most - 1;
    in->length = as_arena_take(a, as_size(rows, sizeof *in->length));
    for (int f = 0; f < in->n_fields; f++) {
        const struct as_data_field *field = &in->field[f];
        size_t unit = 1;

        if (field->rank == 0 || field->dim[0] != AS_TIME)
            continue;
        for (int j = 1; j < field->rank; j++)
            unit = as_size(unit, (size_t)field->dim[j]);
        unit = as_size(unit, as_size(rows, (size_t)in->time));
        if (field->integer)
            in->i[f] = as_arena_zero(a, as_size(unit, sizeof(int32_t)));
        else
            in->x[f] = as_arena_zero(a, as_size(unit, sizeof(real)));
        for (size_t k = 0; field->integer && strcmp(field->name, "target") == 0 && k < unit; k++)
            in->i[f][k] = -1;
    }
    for (ptrdiff_t r = 0; r < prompt->batch; r++) {
        in->length[r] = (int32_t)in->time;
        memcpy(in->i[0] + r * in->time, prompt->i[0] + r * prompt->time, (size_t)prompt->length[r] * sizeof(int32_t));
    }
}

static void set_up_output(struct decoder *d, struct as_arena *a)
{
    ptrdiff_t batch = d->in.batch, n = batch * d->how.most;
    size_t ints = as_size((size_t)batch, sizeof(int32_t));

    d->out = (struct as_decoded){ .batch = batch, .most = d->how.most };
    d->out.token = as_arena_take(a, as_size((size_t)n, sizeof(int32_t)));
    for (ptrdiff_t i = 0; i < n; i++)
        d->out.token[i] = -1;
    d->out.made = as_arena_zero(a, ints);
    d->out.steps = as_arena_zero(a, ints);
    d->out.calls = as_arena_zero(a, ints);
    d->pending = as_arena_zero(a, ints);
    d->done = as_arena_zero(a, as_size((size_t)batch, sizeof *d->done));
    d->left = batch;
}

/* --- one call ----------------------------------------------------------------------------------------------- */

static const real *further_output(const struct decoder *d, int i)
{
    const struct as_model *m = d->m;
    const char *name = as_say("head%d", i);

    for (int k = 0; k < m->n_outputs; k++)
        if (strcmp(m->output[k].name, name) == 0) {
            if (as_node_size(m->output[k].node) != d->in.batch * d->in.time * d->classes)
                as_fail(AS_REFUSED, "decoding: the output %s has not the sizes of the model's own", name);
            return m->output[k].node->x;
        }
    as_fail(AS_REFUSED, "decoding in blocks of %d: the model has no output called %s; train one with as many heads",
            d->how.block, name);
}

static void call(struct decoder *d, struct as_tape *t)
{
    struct as_node *y = as_model_forward(d->m, t, &d->in, false, (struct as_key){ 0 });

    if (y->rank != 3 || y->dim[0] != d->in.batch || y->dim[1] != d->in.time)
        as_fail(AS_REFUSED, "decoding wants logits at every step, (batch, time, tokens), and the model gives others");
    d->classes = y->dim[2];
    d->head[0] = y->x;
    for (int i = 2; i <= d->how.block; i++)
        d->head[i - 1] = further_output(d, i);
}

/* Logits of p_(i + 1), given row r's first `made` tokens. */
static const real *logits(const struct decoder *d, int i, ptrdiff_t r, ptrdiff_t made)
{
    return d->head[i] + (r * d->in.time + d->prompt[r] + made - 1) * d->classes;
}

static int32_t best(const real *x, ptrdiff_t n)
{
    ptrdiff_t at = 0;

    for (ptrdiff_t j = 1; j < n; j++)
        at = x[j] > x[at] ? j : at;
    return (int32_t)at;
}

/* How many tokens come before this one: 0 for the one that best() finds. */
static int rank_of(const real *x, ptrdiff_t n, int32_t token)
{
    int before = 0;

    for (ptrdiff_t j = 0; j < n; j++)
        before += x[j] > x[token] || (x[j] == x[token] && j < token);
    return before;
}

static void accept(struct decoder *d, ptrdiff_t r, int32_t n)
{
    struct as_decoded *o = &d->out;

    o->made[r] += n;
    o->steps[r] += n > 0;
    d->pending[r] = 0;
    if (n > 0 && (o->made[r] == d->how.most || o->token[r * o->most + o->made[r] - 1] == d->how.stop)) {
        d->done[r] = true;
        d->left--;
    }
}

/* The longest run of pending tokens that passes, up to a stop. */
static int32_t verified(const struct decoder *d, ptrdiff_t r)
{
    ptrdiff_t made = d->out.made[r];
    int32_t n = 0;

    while (n < d->pending[r]) {
        int32_t token = d->out.token[r * d->out.most + made + n];

        if (n >= d->how.least && rank_of(logits(d, 0, r, made + n), d->classes, token) >= d->how.top)
            break;
        n++;
        if (token == d->how.stop)
            break;
    }
    return n;
}

/* The next block. Its first token is p_1's own: where nothing else can be accepted it is so without another call. */
static void propose(struct decoder *d, ptrdiff_t r)
{
    ptrdiff_t made = d->out.made[r], room = d->how.most - made;
    int32_t n = room < d->how.block ? (int32_t)room : d->how.block;
    int32_t *token = d->out.token + r * d->out.most + made;

    for (int32_t i = 0; i < n; i++) {
        ptrdiff_t at = d->prompt[r] + made + i;

        token[i] = best(logits(d, i, r, made), d->classes);
        if (at < d->in.time)         /* the last token of all is nobody's input */
            d->in.i[0][r * d->in.time + at] = token[i];
    }
    d->pending[r] = n;
    if (n == 1 || token[0] == d->how.stop)
        accept(d, r, 1);
}

struct as_decoded as_decode(struct as_model *m, struct as_arena *a, const struct as_batch *prompt,
                            struct as_decoding how)
{
    struct decoder d = { .m = m, .how = how, .prompt = prompt->length };
    struct as_tape *t;

    check_request(m, prompt, &how);
    check_ports(m, prompt);
    set_up_input(&d, a, prompt);
    set_up_output(&d, a);
    t = as_tape_new();
    as_tape_record(t, false);
    while (d.left > 0) {
        as_tape_reset(t);
        call(&d, t);
        for (ptrdiff_t r = 0; r < d.in.batch; r++) {
            if (d.done[r])
                continue;
            d.out.calls[r]++;
            accept(&d, r, verified(&d, r));
            if (!d.done[r])
                propose(&d, r);
        }
    }
    as_tape_free(t);
    for (ptrdiff_t r = 0; r < d.in.batch; r++)
        for (ptrdiff_t i = d.out.made[r]; i < how.most; i++)
            d.out.token[r * how.most + i] = -1;
    return d.out;
}

void as_decode_prompts(struct as_batch *b)
{
    int f = 0;

    while (f < b->n_fields && strcmp(b->field[f].name, "target") != 0)
        f++;
    if (f == b->n_fields || !b->field[f].integer || b->field[f].rank != 1 || b->field[f].dim[0] != AS_TIME)
        as_fail(AS_REFUSED, "prompts end where targets begin, and the data has no tokens 'target' at every step");
    for (ptrdiff_t r = 0; r < b->batch; r++) {
        int32_t n = 0;

        while (n < b->length[r] && b->i[f][r * b->time + n] < 0)
            n++;
        if (n == b->length[r])
            as_fail(AS_REFUSED, "example %td of the batch has no target, so nothing says where its prompt ends", r);
        b->length[r] = n + 1;
    }
}

ptrdiff_t as_decode_join(const struct as_batch *prompt, const struct as_decoded *d, ptrdiff_t r, int32_t *x,
                         int32_t *target)
{
    ptrdiff_t n = prompt->length[r], made = d->made[r];
    const int32_t *token = d->token + r * d->most;

    memcpy(x, prompt->i[0] + r * prompt->time, (size_t)n * sizeof *x);
    memcpy(x + n, token, (size_t)(made - 1) * sizeof *x);
    for (ptrdiff_t t = 0; t < n - 1; t++)
        target[t] = -1;
    memcpy(target + n - 1, token, (size_t)made * sizeof *target);
    return n + made - 1;
}
