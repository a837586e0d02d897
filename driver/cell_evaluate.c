/* cell_evaluate.c: what is measured on the trained weights. Tuning cells see validation only; the test split is
 * touched here, once, by final cells. */
#include <driver/cell.h>

#include <assay/error.h>
#include <driver/data.h>
#include <driver/file.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_METRICS = 16, MAX_KEYS = 32, TEST_EXAMPLES = 1000 };

struct metrics { const struct as_metric *metric[MAX_METRICS]; int n; };

static const struct as_metric *find_metric(const char *name)
{
    const char *near = NULL;
    const struct as_metric *m = as_metric_find(name, &near);
    if (!m)
        as_fail(AS_REFUSED, "metric %s: there is no such metric%s%s", name, near ? "; nearest is " : "",
                near ? near : "");
    return m;
}

/* Batches of a size that keeps long sequences within the memory of a training step. */
static ptrdiff_t batch_for(const struct as_data *d, long asked)
{
    enum { POSITIONS = 1 << 15 };
    ptrdiff_t length = as_data_describe(d)->max_length;
    ptrdiff_t fits = length > 0 ? POSITIONS / length : asked;
    return fits < 1 ? 1 : fits < asked ? fits : asked;
}

/* What a value is called, and where it stands. also: another name for the same value, or NULL. */
struct place { const char *prefix, *also; int n; const char *const *key, *const *text; };

static void measure(struct cell_run *c, struct as_model *model, struct as_data *d, enum as_split split, long count,
                    const struct metrics *m, const struct place *at)
{
    struct as_score score[MAX_METRICS];
    float *each[MAX_METRICS] = { NULL };
    ptrdiff_t stored = as_data_describe(d)->count[split];
    if (stored && (count == 0 || count > stored)) count = stored;
    for (int i = 0; i < m->n; i++)
        if (!(each[i] = malloc(count ? (size_t)count * sizeof(float) : 1)))
            as_fail(AS_NO_MEMORY, "no memory for the scores of %ld examples", count);
    long batch = as_config_int(c->cfg, "train.batch", 64, 1, 1 << 24);
    as_evaluate_all(model, d, split, count, batch_for(d, batch), m->n, m->metric, score, each);
    for (int i = 0; i < m->n; i++) {
        char *name = file_text("%s%s", at->prefix, m->metric[i]->name);
        struct value *v = record_value(c->record, name, score[i].value, (long)score[i].examples, each[i]);
        for (int k = 0; k < at->n; k++) value_key(v, at->key[k], at->text[k]);
        free(name);
        if (!at->also) continue;
        name = file_text("%s%s", at->also, m->metric[i]->name);
        record_value(c->record, name, score[i].value, (long)score[i].examples, NULL);
        free(name);
    }
}

/* The trained weights in the model that the changed configuration asks for; NULL when no key of the model was changed. */
static struct as_model *changed_model(struct cell_run *c, const char *name, struct as_config *cfg, int n,
                                      const char *const *key)
{
    int changed = 0;
    for (int i = 0; i < n; i++) changed += strncmp(key[i], "data.", 5) != 0;
    if (!changed) return NULL;
    struct as_model *m = as_model_new(cfg, as_data_describe(c->train), (uint64_t)c->job->seed);
    if (as_model_adopt(m, c->model, NULL))
        as_fail(AS_REFUSED, "eval %s: only keys of the model that leave its weights as they are can be changed on trained "
                            "ones", name);
    return m;
}

/* Point i of an evaluation: data and model with the keys of that point laid over. */
static void measure_eval(struct cell_run *c, const struct eval *e, int i, const struct metrics *m, long examples)
{
    const char *key[MAX_KEYS], *text[MAX_KEYS], *name[MAX_KEYS], *why = NULL;
    char *own[MAX_KEYS];
    int n = eval_keys(e), fixed = n - e->n_axes;
    eval_point(e, i, key, text);
    struct as_config *copy = as_config_copy(c->cfg);
    for (int k = 0; k < n; k++) as_config_set(copy, key[k], text[k], true);
    for (int a = 0; a < e->n_axes; a++) name[a] = own[a] = file_text("%s", eval_axis_name(e, &e->axis[a]));
    const struct as_stored *stored = data_stored(copy, &why);
    if (!stored && why) as_fail(AS_REFUSED, "%s", why);
    struct as_data *d = as_data_open(copy, (uint64_t)c->job->seed, stored);
    struct as_model *model = changed_model(c, e->name, copy, n, key);
    char *prefix = file_text("%s.", e->name);
    measure(c, model ? model : c->model, d, AS_TEST, e->examples ? e->examples : examples, m,
            &(struct place){ prefix, NULL, e->n_axes, name, text + fixed });
    free(prefix);
    as_model_free(model);
    as_data_close(d);
    as_config_free(copy);
    for (int a = 0; a < e->n_axes; a++) free(own[a]);
}

static void check_eval(const struct eval *e)
{
    if (eval_keys(e) > MAX_KEYS)
        as_fail(AS_REFUSED, "eval %s has %d keys; at most %d are allowed", e->name, eval_keys(e),
                MAX_KEYS);
}

/* "fine.", or "" in a cell without stages. malloc'd. */
static char *stage_prefix(const struct cell_run *c)
{
    const char *name = c->stages.stage[c->stage].name;
    return name ? file_text("%s.", name) : file_text("%s", "");
}

static void evaluate_test(struct cell_run *c, const struct metrics *m)
{
    const struct as_data_shape *shape = as_data_describe(c->train);
    long examples = as_config_int(c->cfg, "test.examples", shape->count[AS_TEST] ? 0 : TEST_EXAMPLES, 0, 100000000);
    char *own = stage_prefix(c);
    bool last = c->stage + 1 == c->stages.n;
    measure(c, c->model, c->train, AS_TEST, examples, m,
            &(struct place){ last ? "" : own, last && *own ? own : NULL, 0, NULL, NULL });
    free(own);
    for (int i = 0; last && i < c->job->n_evals; i++) {
        const struct eval *e = &c->job->eval[i];
        int combinations = eval_points(e);
        check_eval(e);
        for (int k = 0; k < combinations; k++) {
            if (cell_asked_to_stop) as_fail(AS_STOPPED, "asked to stop");
            cell_say("phase evaluating %s %d/%d", e->name, k + 1, combinations);
            measure_eval(c, e, k, m, examples);
        }
    }
}

static void evaluate_validation(struct cell_run *c)
{
    const struct as_data_shape *shape = as_data_describe(c->valid);
    const char *name = as_config_word(c->cfg, "valid.metric", shape->metric);
    long examples = as_config_int(c->cfg, "valid.examples", shape->count[AS_VALID] ? 0 : 512, 0, 100000000);
    struct metrics m = { { find_metric(name) }, 1 };
    /* Ties between rates go by the loss. */
    if (m.metric[0]->proportion) m.metric[m.n++] = find_metric("ce");
    char *prefix = stage_prefix(c), *own = file_text("%svalid.", prefix);
    bool last = c->stage + 1 == c->stages.n;
    measure(c, c->model, c->valid, AS_VALID, examples, &m,
            &(struct place){ last ? "valid." : own, last && *prefix ? own : NULL, 0, NULL, NULL });
    free(prefix);
    free(own);
}

/* What claims have to know about a metric and only this cell can tell: it depends on the number of classes. */
static void keep_levels(struct cell_run *c, const struct metrics *m)
{
    ptrdiff_t classes = as_data_describe(c->train)->classes;
    char *own = stage_prefix(c);
    for (int i = 0; i < m->n; i++) {
        double chance = m->metric[i]->chance ? m->metric[i]->chance(classes) : (double)NAN;
        double worst = m->metric[i]->worst ? m->metric[i]->worst(classes) : (double)NAN;
        /* The plain ones are those of the last stage in the end. */
        for (int named = 0; named < 1 + (*own != 0); named++) {
            record_number(c->record, as_say("chance.%s%s", named ? own : "", m->metric[i]->name), chance);
            record_number(c->record, as_say("worst.%s%s", named ? own : "", m->metric[i]->name), worst);
        }
    }
    free(own);
}

void cell_evaluate(struct cell_run *c)
{
    double began = cell_clock();
    struct metrics m = { .n = 0 };
    if (c->job->n_metrics > MAX_METRICS) as_fail(AS_REFUSED, "at most %d metrics can be asked for", MAX_METRICS);
    for (int i = 0; i < c->job->n_metrics; i++) m.metric[m.n++] = find_metric(c->job->metric[i]);
    if (!m.n) m.metric[m.n++] = find_metric(as_data_describe(c->train)->metric);
    keep_levels(c, &m);
    evaluate_validation(c);
    if (c->job->role == CELL_FINAL) evaluate_test(c, &m);
    double earlier = record_number_of(c->record, "eval.seconds");
    record_number(c->record, "eval.seconds", cell_clock() - began + (isnan(earlier) ? 0 : earlier));
}
