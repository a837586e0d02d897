/* golden.c: see golden.h. Reading a file, comparing, and the kinds that are not layers. */
#include "golden.h"

#include "core/real/layer.h"

#include <assay/objective.h>
#include <assay/rule.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void golden_mistake(struct golden *g, const char *sentence)
{
    g->result.wrong++;
    g->say(as_say("%s, %s%s%s (%s): %s", g->name, g->of ? g->of : "?", g->how[0] ? ", " : "", g->how,
                  sizeof(real) == sizeof(double) ? "double" : "float", sentence));
}

struct golden_array golden_read(struct golden *g, const char *name)
{
    struct golden_array a = { .rank = -1 };
    bool whole = h5_read_number(g->file, name, "integer", 0) > 0;
    size_t bytes;
    void *read, *kept;

    if (h5_has(g->file, name))
        a.rank = h5_shape(g->file, name, a.dim);
    if (a.rank < 0)
        as_fail(AS_FAILED, "there is no array %s in it", name);
    read = whole ? (void *)h5_read_ints(g->file, name, &a.n) : (void *)h5_read_doubles(g->file, name, &a.n);
    if (!read)
        as_fail(AS_FAILED, "%s", h5_error(g->file));
    bytes = (size_t)a.n * (whole ? sizeof(int32_t) : sizeof(double));
    kept = memcpy(as_arena_take(g->arena, bytes), read, bytes);
    free(read);
    a.i = whole ? kept : NULL;
    a.v = whole ? NULL : kept;
    return a;
}

int golden_count(struct golden *g, const char *group)
{
    int n;
    char **names = h5_names(g->file, group, &n);

    h5_names_free(names, n);
    return n;
}

struct as_node *golden_node(struct golden *g, struct as_tape *t, const char *name)
{
    struct golden_array a = golden_read(g, name);
    struct as_node *x;

    if (a.rank > AS_MAX_RANK)
        as_fail(AS_FAILED, "%s has %d dimensions, a node at most %d", name, a.rank, AS_MAX_RANK);
    x = a.i ? as_node_ints(t, a.rank, a.dim) : as_node_new(t, a.rank, a.dim);
    for (ptrdiff_t i = 0; i < a.n; i++)
        if (a.i)
            x->i[i] = a.i[i];
        else
            x->x[i] = (real)a.v[i];
    x->wants = !a.i;
    return x;
}

const char *golden_option(struct golden *g, const char **at, const char **value)
{
    const char *from = *at ? *at : g->options, *eq;
    char *word;
    size_t n;

    from += strspn(from, " ");
    n = strcspn(from, " ");
    *at = from + n;
    if (n == 0)
        return NULL;
    word = as_arena_zero(g->arena, n + 1);
    memcpy(word, from, n);
    eq = strchr(word, '=');
    if (!eq)
        as_fail(AS_FAILED, "its option '%s' is no KEY=VALUE", word);
    word[eq - word] = '\0';
    *value = eq + 1;
    return word;
}

/* "[1, 0, 3]" of element `at`. */
static const char *place(const struct golden_array *a, ptrdiff_t at)
{
    char text[128] = "";
    ptrdiff_t unit = a->n;

    for (int i = 0; i < a->rank; i++) {
        size_t used = strlen(text);

        unit /= a->dim[i];
        snprintf(text + used, sizeof text - used, "%s%td", i ? ", " : "[", at / unit % a->dim[i]);
    }
    return as_say("%s]", text);
}

void golden_compare(struct golden *g, const char *name, const real *ours, int rank, const ptrdiff_t *dim)
{
    struct golden_array a = golden_read(g, name);
    double scale = 0, worst = 0;
    ptrdiff_t at = 0;
    bool same = rank == a.rank;

    for (int i = 0; same && i < rank; i++)
        same = dim[i] == a.dim[i];
    if (!same) {
        golden_mistake(g, as_say("%s has other sizes with us", name));
        return;
    }
    for (ptrdiff_t i = 0; i < a.n; i++)
        scale = fmax(scale, fabs(a.v[i]));
    scale = scale > 0 ? scale : 1;
    for (ptrdiff_t i = 0; i < a.n; i++) {
        double off = fabs((double)ours[i] - a.v[i]) / scale;

        if (!(off <= worst)) {                           /* a NaN is the worst, and stays it */
            worst = off;
            at = i;
            if (isnan(off))
                break;
        }
    }
    g->result.arrays++;
    if (isnan(worst) || worst > g->result.worst) {      /* a NaN stays */
        g->result.worst = worst;
        snprintf(g->result.where, sizeof g->result.where, "%s %s %s", g->name, g->how, name);
    }
    if (!(worst <= g->tolerance))
        golden_mistake(g, as_say("%s%s is %.17g, expected %.17g; off by %.3g of the scale %.3g, allowed %g", name,
                                 place(&a, at), (double)ours[at], a.v[at], worst, scale, g->tolerance));
}

/* --- objectives, rules, operators ------------------------------------------------------------------------- */

/* Reads the options of a rule or objective into the arena. */
static void *options_of(struct golden *g, const struct as_option *table, size_t size)
{
    struct as_config *cfg = as_config_new();
    const char *at = NULL, *value, *key, *why = NULL, *unread;
    void *opt = as_arena_zero(g->arena, size ? size : 1);
    char say[256] = "";

    while ((key = golden_option(g, &at, &value)))
        as_config_set(cfg, key, value, true);
    if (table)
        why = as_options_read(table, opt, size, cfg, "");
    unread = as_config_unread(cfg);
    if (why || unread)
        snprintf(say, sizeof say, "%s", why ? why : unread);
    as_config_free(cfg);
    if (say[0])
        as_fail(AS_REFUSED, "%s", say);
    return opt;
}

/* Back from sum(y * cotangent). */
static void back(struct golden *g, struct as_tape *t, struct as_node *y)
{
    struct as_node *cotangent = golden_node(g, t, "cotangent");

    cotangent->wants = false;
    if (as_node_size(cotangent) != as_node_size(y))
        as_fail(AS_FAILED, "the cotangent has %td numbers, our output %td", as_node_size(cotangent), as_node_size(y));
    as_backward(t, as_sum_all(t, as_mul(t, y, cotangent)), R(1.0));
}

void golden_objective(struct golden *g)
{
    const struct as_entry *e = as_registry_find("objective", g->of, NULL);
    struct as_tape *t = g->tape;
    struct as_graph graph = { .t = t, .training = true };
    struct as_node *output, *target, *y;

    if (!e)
        as_fail(AS_REFUSED, "there is no objective '%s'", g->of);
    graph.opt = options_of(g, e->plugin->objective->options, e->plugin->objective->opt_size);
    output = golden_node(g, t, "input/output");
    target = golden_node(g, t, "input/target");
    target->wants = false;
    y = e->plugin->objective->graph(&graph, output, target);
    back(g, t, y);
    g->result.runs++;
    golden_compare(g, "output", y->x, y->rank, y->dim);
    golden_compare(g, "gradient/input/output", as_gradient(t, output), output->rank, output->dim);
}

/* The weight after each step, on the file's gradients. */
void golden_rule(struct golden *g)
{
    const struct as_entry *e = as_registry_find("rule", g->of, NULL);
    struct golden_array w = golden_read(g, "input/w"), gradient = golden_read(g, "input/g");
    real *now = as_arena_zero(g->arena, as_size((size_t)w.n, sizeof *now)), *moment[AS_MAX_MOMENTS];
    real *slope = as_arena_zero(g->arena, as_size((size_t)w.n, sizeof *slope));
    real *all = as_arena_zero(g->arena, as_size((size_t)gradient.n, sizeof *all));
    struct as_update u = { .name = "w", .kind = AS_MATRIX, .rank = 1, .dim = w.dim, .n = w.n, .w = now, .g = slope,
                           .moment = moment, .rate = h5_read_number(g->file, "/", "rate", (double)NAN),
                           .decay = h5_read_number(g->file, "/", "decay", (double)NAN) };

    if (!e)
        as_fail(AS_REFUSED, "there is no rule '%s'", g->of);
    u.opt = options_of(g, e->plugin->rule->options, e->plugin->rule->opt_size);
    for (int i = 0; i < AS_MAX_MOMENTS; i++)
        moment[i] = as_arena_zero(g->arena, as_size((size_t)w.n, sizeof(real)));
    for (ptrdiff_t i = 0; i < w.n; i++)
        now[i] = (real)w.v[i];
    for (ptrdiff_t s = 0; s < gradient.dim[0]; s++) {
        for (ptrdiff_t i = 0; i < w.n; i++)
            slope[i] = (real)gradient.v[s * w.n + i];
        u.step = (long)s + 1;
        e->plugin->rule->update(&u);
        memcpy(all + s * w.n, now, (size_t)w.n * sizeof *now);
    }
    g->result.runs++;
    golden_compare(g, "output", all, 2, gradient.dim);
}

static struct as_node *conv1d(struct as_tape *t, struct as_node *const *in, struct as_conv c)
{
    return as_conv1d(t, in[0], in[1], in[2], c);
}

static struct as_node *conv2d(struct as_tape *t, struct as_node *const *in, struct as_conv c)
{
    return as_conv2d(t, in[0], in[1], in[2], c);
}

static struct as_node *conv_causal(struct as_tape *t, struct as_node *const *in, struct as_conv c)
{
    (void)c;
    return as_conv_causal(t, in[0], in[1], in[2]);
}

/* Operators have no registry: those that files may be about, and the names of their inputs in order. */
static const struct operator {
    const char *name, *in[4];
    struct as_node *(*run)(struct as_tape *t, struct as_node *const *in, struct as_conv c);
} operators[] = {
    { "conv1d", { "x", "w", "bias" }, conv1d },
    { "conv2d", { "x", "w", "bias" }, conv2d },
    { "conv_causal", { "x", "w", "bias" }, conv_causal },
};

void golden_operator(struct golden *g)
{
    const struct operator *op = NULL;
    struct as_conv c = { .groups = (ptrdiff_t)h5_read_number(g->file, "/", "groups", 0) };
    struct as_node *in[4] = { NULL }, *y;
    struct as_tape *t = g->tape;

    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (strcmp(operators[i].name, g->of) == 0)
            op = &operators[i];
    if (!op)
        as_fail(AS_REFUSED, "nobody here knows the operator '%s'", g->of);
    for (int i = 0; i < 2; i++) {
        c.stride[i] = (ptrdiff_t)h5_read_number(g->file, "/", as_say("stride%d", i), 0);
        c.dilation[i] = (ptrdiff_t)h5_read_number(g->file, "/", as_say("dilation%d", i), 0);
        c.pad_before[i] = (ptrdiff_t)h5_read_number(g->file, "/", as_say("pad_before%d", i), 0);
        c.pad_after[i] = (ptrdiff_t)h5_read_number(g->file, "/", as_say("pad_after%d", i), 0);
    }
    for (int i = 0; i < 4 && op->in[i]; i++)
        if (h5_has(g->file, as_say("input/%s", op->in[i])))
            in[i] = golden_node(g, t, as_say("input/%s", op->in[i]));
    y = op->run(t, in, c);
    back(g, t, y);
    g->result.runs++;
    golden_compare(g, "output", y->x, y->rank, y->dim);
    for (int i = 0; i < 4; i++)
        if (in[i])
            golden_compare(g, as_say("gradient/input/%s", op->in[i]), as_gradient(t, in[i]), in[i]->rank, in[i]->dim);
}

/* --- a file ----------------------------------------------------------------------------------------------- */

static const char *text_of(struct golden *g, const char *attribute)
{
    char *text = h5_read_text(g->file, "/", attribute), *kept;

    if (!text)
        as_fail(AS_FAILED, "it has no attribute '%s'", attribute);
    kept = as_arena_take(g->arena, strlen(text) + 1);
    strcpy(kept, text);
    free(text);
    return kept;
}

static void body(void *ctx)
{
    static const struct { const char *kind; void (*check)(struct golden *g); } kinds[] = {
        { "layer", golden_layer }, { "objective", golden_objective }, { "rule", golden_rule },
        { "operator", golden_operator },
    };
    struct golden *g = ctx;
    const char *kind;

    kind = text_of(g, "kind");
    g->of = text_of(g, "of");
    g->options = text_of(g, "options");
    snprintf(g->result.of, sizeof g->result.of, "%s", g->of);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].kind, kind) == 0) {
            kinds[i].check(g);
            return;
        }
    as_fail(AS_FAILED, "it is of an unknown kind, '%s'", kind);
}

struct golden_result golden_check(const char *path, double tolerance, void (*say)(const char *sentence))
{
    const char *slash = strrchr(path, '/'), *why;
    struct golden g = { .name = slash ? slash + 1 : path, .how = "", .tolerance = tolerance, .say = say };

    g.arena = as_arena_new();
    g.tape = as_tape_new();
    as_arena_poison(as_tape_arena(g.tape), 1);
    g.file = h5_open(path, "make it again with its script", &why);
    if (!g.file)
        golden_mistake(&g, why);
    else if (as_try(body, &g) != AS_OK)
        golden_mistake(&g, as_failure_text());
    if (g.file && h5_error(g.file))
        golden_mistake(&g, h5_error(g.file));
    h5_close(g.file);
    as_tape_free(g.tape);
    as_arena_free(g.arena);
    return g.result;
}
