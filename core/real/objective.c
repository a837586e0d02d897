/* objective.c: from the words of the experiment file to one scalar node. */
#include "train.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "ce(answers)": the objective, and the further output that it judges. */
static void split_word(const char *word, struct term *t)
{
    size_t n = strcspn(word, "("), m = word[n] ? strcspn(word + n + 1, ")") : 0;

    if (word[n] && (m == 0 || strcmp(word + n + 1 + m, ")") != 0))
        as_fail(AS_REFUSED, "objective: '%s' is not NAME or NAME(OUTPUT)", word);
    if (n >= sizeof t->name || m >= sizeof t->output)
        as_fail(AS_REFUSED, "objective: '%s' is too long", word);
    snprintf(t->name, sizeof t->name, "%.*s", (int)n, word);
    snprintf(t->output, sizeof t->output, "%.*s", (int)m, word[n] ? word + n + 1 : "");
}

/* Options of an objective stand at objective.NAME.KEY. */
static void add_term(struct objective *o, struct as_config *cfg, double factor, const char *word)
{
    struct term *t = &o->term[o->n];
    const struct as_entry *e;
    const char *why = NULL, *name = t->name;
    char prefix[80];

    if (o->n == AS_MAX_TERMS)
        as_fail(AS_REFUSED, "objective has more than %d terms", AS_MAX_TERMS);
    split_word(word, t);
    e = as_registry_find("objective", name, NULL);
    if ((o->n == 0 || t->output[0]) && !e)
        as_fail(AS_REFUSED, "objective: its %s '%s' is no objective (see: assay list objectives)",
                t->output[0] ? "term" : "first term", name);
    t->factor = factor;
    o->n++;
    if (!e)
        return;                      /* an auxiliary loss of a layer: looked up at run time */
    t->objective = e->plugin->objective;
    t->opt = calloc(1, t->objective->opt_size ? t->objective->opt_size : 1);
    if (!t->opt)
        as_fail(AS_NO_MEMORY, "out of memory for an objective");
    snprintf(prefix, sizeof prefix, "objective.%s", name);
    if (t->objective->options)
        why = as_options_read(t->objective->options, t->opt, t->objective->opt_size, cfg, prefix);
    if (why)
        as_fail(AS_REFUSED, "%s", why);
}

void objective_parse(struct objective *o, struct as_config *cfg, const char *def)
{
    const char *text = as_config_word(cfg, "objective", def ? def : "ce"), *p = text;

    o->pieces = as_config_get(cfg, "objective.pieces") ? (int)as_config_int(cfg, "objective.pieces", 1, 1, 65536) : 1;
    while (*p) {
        char word[96];
        size_t n = strcspn(p, "+");
        char *star, *name = word;
        double factor = 1;

        while (n > 0 && isspace((unsigned char)*p)) {
            p++;
            n--;
        }
        snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word - 1), p);
        star = strchr(word, '*');
        if (star) {
            *star = '\0';
            name = star + 1;
            for (char *end = star; end > word && isspace((unsigned char)end[-1]); )
                *--end = '\0';
            if (!as_parse_num(word, &factor))
                as_fail(AS_REFUSED, "objective = %s: '%s' is not a number", text, word);
        }
        while (isspace((unsigned char)*name))
            name++;
        for (char *end = name + strlen(name); end > name && isspace((unsigned char)end[-1]); )
            *--end = '\0';
        add_term(o, cfg, factor, name);
        p += n + (p[n] == '+');
    }
}

void objective_free(struct objective *o)
{
    for (int i = 0; i < o->n; i++)
        free(o->term[i].opt);
}

static int field_index(const struct as_batch *b, const char *name)
{
    for (int i = 0; i < b->n_fields; i++)
        if (strcmp(b->field[i].name, name) == 0)
            return i;
    return -1;
}

real *position_weights(struct as_arena *a, const struct as_batch *b, ptrdiff_t *n, double *total)
{
    int target = field_index(b, "target"), weight = field_index(b, "weight");
    bool timed;
    ptrdiff_t time;
    real *w;

    if (target < 0)
        as_fail(AS_REFUSED, "the data has no field 'target' to learn from");
    timed = b->field[target].rank > 0 && b->field[target].dim[0] == AS_TIME;
    time = timed ? b->time : 1;
    *n = b->batch * time;
    *total = 0;
    w = as_arena_take(a, as_size((size_t)*n, sizeof *w));
    for (ptrdiff_t r = 0; r < b->batch; r++)
        for (ptrdiff_t s = 0; s < time; s++) {
            ptrdiff_t at = r * time + s;
            bool valid = !timed || s < b->length[r];

            if (b->field[target].integer)
                valid = valid && b->i[target][at] >= 0;
            w[at] = !valid ? R(0.0) : weight >= 0 ? b->x[weight][at] : R(1.0);
            *total += (double)w[at];
        }
    return w;
}

/* Auxiliary losses are (batch) or (batch, time): a mean over the rows, or over their valid steps. */
static struct as_node *auxiliary(struct as_tape *t, const struct as_batch *b, struct as_node *loss)
{
    if (loss->rank == 2) {
        ptrdiff_t dims[3] = { loss->dim[0], loss->dim[1], 1 };
        struct as_node *seq = as_reshape(t, loss, 3, dims);

        seq->length = b->length;
        loss = as_time_mean(t, seq);
    }
    return as_scale(t, as_sum_all(t, loss), 1.0 / (double)b->batch);
}

/* Losses of a further output. One that has another size before its last, (batch, time, answers, k), gives several
 * answers to each target: the loss is their mean. */
static struct as_node *further_losses(const struct term *term, struct as_graph *g, struct as_model *m,
                                      struct as_node *target)
{
    struct as_node *output = model_extra_output(m, term->output), *sum = NULL;
    int plain = target->rank + (target->dtype == AS_INTS);
    ptrdiff_t dims[AS_MAX_RANK], answers;

    if (!output)
        as_fail(AS_REFUSED, "objective: no layer of this model gives an output called '%s'", term->output);
    if (output->rank != plain + 1)
        return term->objective->graph(g, output, target);
    answers = output->dim[plain - 1];
    memcpy(dims, output->dim, sizeof dims);
    dims[plain - 1] = output->dim[plain];
    for (ptrdiff_t s = 0; s < answers; s++) {
        struct as_node *one = as_reshape(g->t, as_slice(g->t, output, plain - 1, s, 1), plain, dims), *loss;

        one->length = output->length;
        loss = term->objective->graph(g, one, target);
        sum = sum ? as_add(g->t, sum, loss) : loss;
    }
    return as_scale(g->t, sum, 1.0 / (double)answers);
}

static struct as_node *main_term(const struct term *term, int pieces, struct as_model *m, struct as_tape *t,
                                 const struct as_batch *b, struct as_node *output, struct as_key key)
{
    struct as_graph g = { .t = t, .opt = term->opt, .training = true, .key = key, .layer = m->root };
    struct as_node *target = model_field(t, b, "target"), *loss, *weight;
    ptrdiff_t n;
    double total;
    real *w = position_weights(as_tape_arena(t), b, &n, &total);

    loss = term->output[0] ? further_losses(term, &g, m, target)
           : m->head.body ? head_losses(&m->head, pieces, term->objective, &g, output, target)
           : term->objective->graph(&g, output, target);
    if (as_node_size(loss) != n)
        as_fail(AS_REFUSED, "objective %s: the model gives %td losses a batch and the data has %td targets; does the "
                            "model read every step where the labels are per step?", term->name, as_node_size(loss), n);
    weight = as_node_wrap(t, loss->rank, loss->dim, w, NULL);
    return as_scale(t, as_sum_all(t, as_mul(t, loss, weight)), 1.0 / (total > 0 ? total : 1));
}

struct as_node *objective_loss(const struct objective *o, struct as_model *m, struct as_tape *t,
                               const struct as_batch *b, struct as_node *output, struct as_key key)
{
    struct as_node *sum = NULL;

    for (int i = 0; i < o->n; i++) {
        struct as_node *one, *extra = o->term[i].objective ? NULL : model_extra_loss(m, o->term[i].name);

        if (o->term[i].objective)
            one = main_term(&o->term[i], o->pieces, m, t, b, output, key);
        else if (extra)
            one = auxiliary(t, b, extra);
        else
            as_fail(AS_REFUSED, "objective: no layer of this model gives a loss called '%s'", o->term[i].name);
        one = as_scale(t, one, o->term[i].factor);
        sum = sum ? as_add(t, sum, one) : one;
    }
    return sum;
}
