/* check_case.c: the shapes, inputs, fillers and options on which a layer is tried. */
#include "check/layer.h"

#include <assay/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct as_variant *check_variant(const struct check_run *r) { return r->entry->plugin->variant; }

static const int32_t uneven[] = { 7, 1, 5 };

/* Sizes behind (batch, time): those of the descriptor, others that are no multiples, or the smallest. */
enum sizes { OWN, ODD, LEAST };
static const struct shape {
    ptrdiff_t batch, time;
    enum sizes sizes;
    double gain;
    const int32_t *length;
    bool fewer, full, few;
    const char *text;
} shapes[] = {
    { 3, 7, OWN, 1, NULL, false, false, true, "" },
    { 3, 7, OWN, 1, uneven, false, false, true, "padded" },
    { 1, 1, OWN, 1, NULL, false, false, false, "one step" },
    { 2, 5, ODD, 1, NULL, false, false, false, "odd sizes" },
    { 2, 3, LEAST, 1, NULL, false, false, false, "least sizes" },
    { 3, 7, OWN, 2, NULL, false, false, false, "gain 2" },
    { 2, 11, OWN, 8, NULL, false, false, false, "gain 8" },
    { 2, 67, OWN, 1, NULL, false, false, false, "long" },
    { 3, 7, OWN, 1, NULL, true, false, true, "without optional inputs" },
    { 3, 7, OWN, 1, uneven, false, true, true, "slots filled" },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* --- inputs --------------------------------------------------------------------------------------------------------*/

/* What stands for the symbol-th different number of the samples, in the given try. 0: no more tries. */
static ptrdiff_t other_size(enum sizes sizes, int symbol, int attempt)
{
    static const ptrdiff_t odd[3][4] = { { 7, 11, 13, 3 }, { 12, 20, 28, 36 }, { 40, 24, 56, 72 } };
    static const ptrdiff_t least[] = { 1, 2, 4, 8 };

    if (sizes == ODD)
        return attempt < 3 ? odd[attempt][symbol % 4] : 0;
    return attempt < 4 ? least[attempt] : 0;
}

static ptrdiff_t size_for(ptrdiff_t own, ptrdiff_t *seen, int *n_seen, enum sizes sizes, int attempt)
{
    int k = 0;

    if (sizes == OWN)
        return attempt == 0 ? own : 0;
    while (k < *n_seen && seen[k] != own)
        k++;
    if (k == *n_seen && k < 8)
        seen[(*n_seen)++] = own;
    return other_size(sizes, k, attempt);
}

/* False: no more sizes to try, or nothing to leave out. */
static bool inputs(const struct as_variant *v, const struct shape *s, int attempt, struct form *f)
{
    static const struct as_sample usual[] = { { .rank = 1, .dim = { 16 } } };
    static const char *const one[] = { "x", NULL };
    const char *const *port = v->ports ? v->ports : one;
    const struct as_sample *sample = v->samples ? v->samples : usual;
    ptrdiff_t seen[8];
    int n_seen = 0;

    if (v->ports && !v->samples)
        as_fail(AS_FAILED, "the layer has ports and says nothing of what their inputs look like: add .samples, one row "
                "a port (struct as_sample in assay/layer.h)");
    for (f->n_in = 0; port[f->n_in]; f->n_in++) {
        struct form_input *in = &f->in[f->n_in];

        if (f->n_in == FORM_PORTS)
            as_fail(AS_FAILED, "a layer with more than %d ports", FORM_PORTS);
        if (s->fewer && sample->optional)
            return attempt == 0;
        *in = (struct form_input){ .name = port[f->n_in], .rank = sample->rank, .sd = sample->sd, .lo = sample->lo,
                                   .hi = sample->hi, .vocab = sample->vocab };
        for (int j = 0; j < sample->rank; j++) {
            in->dim[j] = size_for(sample->dim[j], seen, &n_seen, s->sizes, attempt);
            if (!in->dim[j])
                return false;
        }
        sample++;
    }
    return !s->fewer && (s->sizes == OWN ? attempt == 0 : n_seen > 0);
}

/* --- slots ---------------------------------------------------------------------------------------------------------*/

/* The first layer of the registry that takes one input, has no slots, and is a sequence mixer (or works at each
 * position by itself) with a way back of its own: what an open slot is filled with. */
static const struct as_entry *filler(bool pointwise)
{
    for (const struct as_entry *e = as_entries; e->path; e++) {
        const struct as_variant *v = e->plugin->variant;

        if (!v || v->ports || v->slots || v->samples || v->promises & AS_FLAT || !(v->promises & AS_CAUSAL) || v->kinks)
            continue;
        if (((v->promises & AS_POINTWISE) != 0) == pointwise && e->plugin->impl[0] && e->plugin->impl[0]->backward)
            return e;
    }
    as_fail(AS_FAILED, "there is no layer to fill a slot with");
}

static void point_options(struct check_case *c)
{
    for (int i = 0; i < FORM_OPTIONS; i++)
        c->form.options[i] = i < c->n_options ? c->option[i] : NULL;
}

void check_case_option(struct check_case *c, const char *key, const char *value)
{
    if (c->n_options == FORM_OPTIONS)
        as_fail(AS_FAILED, "more than %d options in a check", FORM_OPTIONS);
    snprintf(c->option[c->n_options], sizeof c->option[0], "%.150s=%.100s", key, value);
    c->n_options++;
    c->extreme = true;                       /* an option away from its default, mostly at an end of its range */
    point_options(c);
}

bool check_is_small(const struct form_layout *layout, ptrdiff_t most)
{
    return layout->store <= most && layout->n < FORM_PARTS / 2 && layout->children < 16;
}

static void fill_slots(struct check_case *c, const struct as_variant *v, const char *prefix, bool full, int depth)
{
    for (const struct as_slot *s = v->slots; s && s->name && depth < 8; s++) {
        bool open = !s->def, empty = s->def && strcmp(s->def, "none") == 0;
        const struct as_entry *child;
        char key[160];

        snprintf(key, sizeof key, "%.79s%s%.79s", v->promises & AS_FLAT ? "" : prefix,
                 !(v->promises & AS_FLAT) && prefix[0] ? "." : "", s->name);
        child = open || (empty && full) ? filler(!open) : empty ? NULL : as_registry_find("layer", s->def, NULL);
        if (open || (empty && full))
            check_case_option(c, key, as_say("%s/%s", child->family, child->name));
        if (!child)
            continue;
        if (c->n_children < (int)(sizeof c->child / sizeof *c->child)) {
            snprintf(c->child[c->n_children].key, sizeof c->child[0].key, "%.63s", key);
            c->child[c->n_children++].entry = child;
        }
        fill_slots(c, child->plugin->variant, key, full, depth + 1);
    }
}

/* --- cases ---------------------------------------------------------------------------------------------------------*/

/* Has the layer a slot, itself or in its children, that is empty by default? */
static bool has_empty_slot(const struct as_variant *v, int depth)
{
    for (const struct as_slot *s = v->slots; s && s->name && depth < 8; s++) {
        const struct as_entry *child = s->def ? as_registry_find("layer", s->def, NULL) : NULL;

        if ((s->def && strcmp(s->def, "none") == 0) || (child && has_empty_slot(child->plugin->variant, depth + 1)))
            return true;
    }
    return false;
}

/* A slot that this layer leaves empty in this case has no filler. */
static void drop_absent(struct check_case *c, const struct form_layout *layout)
{
    int n = 0;

    for (int i = 0; i < c->n_children; i++) {
        bool there = false;

        for (int j = 0; j < layout->n_keys; j++)
            there = there || strcmp(layout->key[j], c->child[i].key) == 0;
        if (there)
            c->child[n++] = c->child[i];
    }
    c->n_children = n;
}

/* 1: the case is made; 0: the layer refuses it in every size; -1: there is no such case for this layer. */
static int make(const struct check_run *r, const struct shape *s, struct check_case *c)
{
    const struct as_variant *v = check_variant(r);
    struct form_layout layout = { .n = 0 };

    *c = (struct check_case){ .n_children = 0 };
    snprintf(c->text, sizeof c->text, "%s", s->text);
    c->form = (struct form){ .variant = r->name, .batch = s->batch, .time = s->time, .gain = s->gain,
                             .length = s->length, .seed = 11 + r->seed, .key = 5 + r->seed };
    if (s->full && !has_empty_slot(v, 0))
        return -1;
    fill_slots(c, v, "", s->full, 0);
    c->extreme = s->sizes == LEAST || s->time == 1 || s->gain > 2;
    for (int attempt = 0; inputs(v, s, attempt, &c->form); attempt++) {
        point_options(c);
        layout = form_plan(&c->form);
        if (!layout.why[0]) {
            drop_absent(c, &layout);
            return 1;
        }
        snprintf(c->why, sizeof c->why, "%s", layout.why);
    }
    return c->why[0] ? 0 : -1;
}

bool check_case(const struct check_run *r, enum check_which which, int k, struct check_case *c)
{
    for (int i = 0; i < SHAPES; i++) {
        int made;

        if (which == CHECK_FEW && !shapes[i].few)
            continue;
        made = make(r, &shapes[i], c);
        if (made == 1)
            c->why[0] = '\0';
        if ((made == 1 || (i == 0 && made == 0)) && k-- == 0)
            return true;
    }
    return false;
}

void check_each(struct check_run *r, enum check_which which, bool padded,
                void (*one)(struct check_run *r, const struct check_case *c, const struct form *f))
{
    struct check_forms forms = check_forms_of(r);
    struct check_case c;

    for (int k = 0; check_case(r, which, k, &c); k++)
        for (int i = 0; i < forms.n && !c.why[0] && (padded || !c.form.length); i++) {
            struct form f = c.form;

            f.impl = forms.form[i].name;
            one(r, &c, &f);
            f.forward = true;                /* nothing is saved then, and a form without a way back runs */
            one(r, &c, &f);
        }
}

unsigned check_promises(const struct check_run *r)
{
    struct check_case c;
    struct form_layout layout;

    if (!check_case(r, CHECK_FEW, 0, &c) || c.why[0])
        return 0;
    layout = form_plan(&c.form);
    return layout.promises;
}

/* --- words ---------------------------------------------------------------------------------------------------------*/

static size_t say(char *out, size_t at, size_t room, const char *text)
{
    size_t n = strlen(text);

    n = at + n < room ? n : room - at - 1;
    memcpy(out + at, text, n);
    out[at + n] = '\0';
    return at + n;
}

const char *check_where(const struct check_case *c, const struct form *f)
{
    char text[640];
    size_t at = say(text, 0, sizeof text, as_say("batch %td, time %td", f->batch, f->time)), n = sizeof text;

    (void)c;
    for (int i = 0; i < f->n_in; i++) {
        at = say(text, at, n, as_say(", %s (", f->in[i].name));
        for (int j = 0; j < f->in[i].rank; j++)
            at = say(text, at, n, as_say("%s%td", j ? ", " : "", f->in[i].dim[j]));
        at = say(text, at, n, f->in[i].vocab ? as_say("%td tokens)", f->in[i].vocab) : ")");
    }
    for (ptrdiff_t i = 0; f->length && i < f->batch; i++)
        at = say(text, at, n, as_say("%s%d", i ? ", " : ", lengths ", (int)f->length[i]));
    if (f->gain > 0 && f->gain != 1)
        at = say(text, at, n, as_say(", weights times %g", f->gain));
    if (f->training)
        at = say(text, at, n, ", training");
    for (int i = 0; i < FORM_OPTIONS && f->options[i]; i++)
        at = say(text, at, n, as_say(", %s", f->options[i]));
    if (f->impl)
        say(text, at, n, as_say(", impl=%s", f->impl));
    return as_say("%s", text);
}

const char *check_element(const struct form *f, const struct form_result *r, int part, size_t index)
{
    size_t n = r->end[part] - (part ? r->end[part - 1] : 0), steps = 1, rows = (size_t)f->batch, inner;

    if (r->kind[part] == FORM_WEIGHT || n % rows != 0)
        return as_say("element %zu of %s", index, r->part[part]);
    if (n % (rows * (size_t)f->time) == 0 && (r->kind[part] != FORM_OUTPUT || r->rank > 2))
        steps = (size_t)f->time;
    inner = n / rows / steps;
    if (steps == 1)
        return as_say("%s of row %zu, element %zu", r->part[part], index / inner, index % inner);
    return as_say("%s at row %zu, step %zu, element %zu", r->part[part], index / inner / steps, index / inner % steps,
                  index % inner);
}
