/* experiment_take.c: one `key = value` of one section into a struct experiment; see doc/experiments.md. */
#include "experiment_impl.h"
#include "file.h"

#include <assay/error.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TUNE_SEEDS 2

static void set_text(char **field, const char *value)
{
    free(*field);
    *field = file_text("%s", value);
}

static const char *unknown_key(const char *section, const char *key, const char *const *known)
{
    const char *nearest = as_nearest(key, known);
    if (nearest)
        return as_say("[%s] has no key \"%s\": did you mean \"%s\"?", section, key, nearest);
    return as_say("[%s] has no key \"%s\"", section, key);
}

static const char *take_experiment(struct experiment *e, const char *key, const char *value)
{
    static const char *const known[] = { "title", "papers", "minutes", "alpha", "looks", "include", NULL };
    double v;
    if (!strcmp(key, "title"))
        return set_text(&e->title, value), NULL;
    if (!strcmp(key, "papers"))
        return set_text(&e->papers, value), NULL;
    if (!strcmp(key, "include"))
        return NULL;                  /* ini_read() has done it */
    if (!strcmp(key, "minutes")) {
        if (!as_parse_num(value, &e->minutes) || e->minutes <= 0)
            return as_say("minutes = %s is no number above 0", value);
        return NULL;
    }
    if (!strcmp(key, "alpha")) {
        if (!as_parse_num(value, &v) || v <= 0 || v > 0.2)
            return as_say("alpha = %s is out of range: above 0, at most 0.2", value);
        e->alpha = v;
        return NULL;
    }
    if (!strcmp(key, "looks")) {
        if (strcmp(value, "1") && strcmp(value, "3"))
            return as_say("looks = %s: it is 1 (claims are answered once, with all of alpha) or 3", value);
        e->looks = *value - '0';
        return NULL;
    }
    return unknown_key("experiment", key, known);
}

static const char *take_model(struct experiment *e, const char *key, const char *value)
{
    if (!strncmp(key, "stage.", 6))
        return as_say("%s does not belong into [model]; its section is [stage NAME]", key);
    if (!is_model_key(key))
        return as_say("%s does not belong into [model]; its section is [%.*s]", key,
                      !strncmp(key, "rule", 4) || !strncmp(key, "objective", 9) ? 5 : (int)strcspn(key, "."),
                      !strncmp(key, "rule", 4) || !strncmp(key, "objective", 9) ? "train" : key);
    as_config_set(e->base, key, value, true);
    return NULL;
}

static const char *take_study(struct experiment *e, const char *key, const char *value)
{
    as_config_set(e->base, strcmp(key, "study") ? as_say("study.%s", key) : key, value, true);
    return NULL;
}

static const char *take_train(struct experiment *e, const char *key, const char *value)
{
    size_t n = strcspn(key, ".");
    bool alone = (n == 4 && !strncmp(key, "rule", n)) || (n == 9 && !strncmp(key, "objective", n));
    if (!strncmp(value, "best validation", 16) && !strcmp(key, "select"))
        value = "best";
    as_config_set(e->base, alone ? key : as_say("train.%s", key), value, true);
    return NULL;
}

static const char *take_test(struct experiment *e, const char *key, const char *value)
{
    if (strcmp(key, "metrics")) {
        as_config_set(e->base, as_say("test.%s", key), value, true);
        return NULL;
    }
    char **metric;
    int n;
    const char *why = value_list(value, false, false, &metric, &n);
    if (why)
        return as_say("metrics: %s", why);
    texts_free(e->metric, e->n_metrics);
    e->metric = metric;
    e->n_metrics = n;
    return NULL;
}

static const char *take_seeds(struct experiment *e, const char *value)
{
    char **text;
    int n;
    const char *why = value_list(value, true, true, &text, &n);
    long *seed = n ? more(NULL, n - 1, sizeof *seed) : NULL;
    for (int i = 0; i < n && !why; i++) {
        double v;
        if (!as_parse_num(text[i], &v) || v != rint(v) || v < 0 || v >= FIRST_TUNE_SEED)
            why = as_say("%s is no seed: whole numbers from 0 to %d", text[i], FIRST_TUNE_SEED - 1);
        else
            seed[i] = (long)v;
    }
    texts_free(text, n);
    if (why) {
        free(seed);
        return as_say("seeds = %s: %s", value, why);
    }
    free(e->seed);
    e->seed = seed;
    e->n_seeds = n;
    return NULL;
}

static void make_tune_seeds(struct experiment *e, int n)
{
    free(e->tune_seed);
    e->tune_seed = more(NULL, n - 1, sizeof *e->tune_seed);
    for (int i = 0; i < n; i++)
        e->tune_seed[i] = FIRST_TUNE_SEED + i;
    e->n_tune_seeds = n;
}

static const char *take_axis(struct axis **axis, int *n, const char *key, const char *value)
{
    char **text;
    int count;
    const char *why = value_list(value, false, true, &text, &count);
    if (why)
        return as_say("%s: %s", key, why);
    axis_set(axis, n, full_key(key), text, count);
    return NULL;
}

static const char *take_tune(struct experiment *e, const char *key, const char *value)
{
    double v;
    if (strcmp(key, "seeds"))
        return take_axis(&e->tune, &e->n_tune, key, value);
    if (!as_parse_num(value, &v) || v != rint(v) || v < 1 || v > 100)
        return as_say("[tune] seeds = %s is out of range: how many, 1 to 100", value);
    make_tune_seeds(e, (int)v);
    return NULL;
}

/* --- sections with a name ------------------------------------------------------------------------------------ */

static const char *take_arm(struct experiment *e, const char *name, const char *key, const char *value, bool create)
{
    int i = 0;
    while (i < e->n_arms && strcmp(e->arm[i].name, name))
        i++;
    if (i == e->n_arms) {
        if (!create)
            return as_say("there is no [arm %s]", name);
        e->arm = more(e->arm, e->n_arms++, sizeof *e->arm);
        e->arm[i].name = file_text("%s", name);
        e->arm[i].set = as_config_new();
    }
    as_config_set(e->arm[i].set, full_key(key), value, true);
    return NULL;
}

/* What [eval] cannot take: keys of sections that are over when weights are trained, and words that are kept for later. */
static const char *refuse_eval_key(const char *key)
{
    static const char *const over[] = { "train", "rule", "objective", "valid", "test", "study", "seed", NULL };
    static const char *const later[] = { "mode", "perturbation", "weights", "subset", NULL };
    size_t n = strcspn(key, ".");
    for (int i = 0; over[i]; i++)
        if (strlen(over[i]) == n && !strncmp(key, over[i], n))
            return as_say("[eval] takes data.*, keys of the model that leave its weights as they are, and examples; %s is "
                          "neither", key);
    for (int i = 0; later[i]; i++)
        if (!strcmp(key, later[i]))
            return as_say("[eval] takes data.*, keys of the model that leave its weights as they are, and examples; %s is not "
                          "supported yet by this version", key);
    return NULL;
}

static const char *take_eval(struct experiment *e, const char *name, const char *key, const char *value, bool create)
{
    int i = 0;
    while (i < e->n_evals && strcmp(e->eval[i].name, name))
        i++;
    if (i == e->n_evals) {
        if (!create)
            return as_say("there is no [eval %s]", name);
        e->eval = more(e->eval, e->n_evals++, sizeof *e->eval);
        e->eval[i].name = file_text("%s", name);
        e->eval[i].set = as_config_new();
    }
    struct eval *v = &e->eval[i];
    double number;
    if (!strcmp(key, "examples")) {
        if (!as_parse_num(value, &number) || number != rint(number) || number < 1 || number > 1e9)
            return as_say("examples = %s is out of range: 1 to 1000000000", value);
        v->examples = (long)number;
        return NULL;
    }
    const char *no = refuse_eval_key(full_key(key));
    if (no)
        return no;
    struct axis *old = axis_find(v->axis, v->n_axes, key);
    if (old)
        axis_remove(v->axis, &v->n_axes, old);
    config_remove(v->set, key);
    if (strchr(value, ',')) {
        char **text;
        int n;
        const char *why = value_list(value, false, false, &text, &n);
        if (why)
            return as_say("%s: %s", key, why);
        axis_set(&v->axis, &v->n_axes, key, text, n);
    } else {
        as_config_set(v->set, key, value, true);
    }
    return NULL;
}

static const char *take_claim(struct experiment *e, const char *name, const char *key, const char *value)
{
    static const char *const known[] = { "that", "given", "source", "alpha", NULL };
    int i = 0;
    while (i < e->n_claims && strcmp(e->claim[i].name, name))
        i++;
    if (i == e->n_claims) {
        e->claim = more(e->claim, e->n_claims++, sizeof *e->claim);
        e->claim_line = more(e->claim_line, i, sizeof *e->claim_line);
        e->claim[i].name = file_text("%s", name);
    }
    struct claim_text *c = &e->claim[i];
    const char **field = !strcmp(key, "that") ? &c->that : !strcmp(key, "given") ? &c->given
                       : !strcmp(key, "source") ? &c->source : !strcmp(key, "alpha") ? &c->alpha : NULL;
    if (!field)
        return unknown_key(as_say("claim %s", name), key, known);
    *field = file_text("%s", value);
    return NULL;
}

static const char *take_figure(struct experiment *e, const char *name, const char *key, const char *value)
{
    int i = 0;
    while (i < e->n_figures && strcmp(e->figure[i].name, name))
        i++;
    if (i == e->n_figures) {
        e->figure = more(e->figure, e->n_figures++, sizeof *e->figure);
        e->figure[i].name = file_text("%s", name);
        e->figure[i].set = as_config_new();
    }
    struct figure *f = &e->figure[i];
    char **field = !strcmp(key, "kind") ? &f->kind : !strcmp(key, "x") ? &f->x : !strcmp(key, "y") ? &f->y
                 : !strcmp(key, "by") ? &f->by : NULL;
    if (field)
        set_text(field, value);
    as_config_set(f->set, key, value, true);
    return NULL;
}

static const char *take_named(struct experiment *e, const char *kind, const char *name, const char *key,
                              const char *value, bool create)
{
    static const char *const known[] = { "arm", "eval", "stage", "claim", "figure", NULL };
    if (!strcmp(kind, "arm"))
        return take_arm(e, name, key, value, create);
    if (!strcmp(kind, "eval"))
        return take_eval(e, name, key, value, create);
    if (!strcmp(kind, "claim") && create)
        return take_claim(e, name, key, value);
    if (!strcmp(kind, "figure") && create)
        return take_figure(e, name, key, value);
    if (!strcmp(kind, "stage") && create)
        return take_stage(e, name, key, value);
    const char *nearest = as_nearest(kind, known);
    if (nearest)
        return as_say("unknown section [%s %s]: did you mean [%s NAME]?", kind, name, nearest);
    return as_say("unknown section [%s %s]", kind, name);
}

const char *experiment_take(struct experiment *e, const char *section, const char *key, const char *value,
                            bool create)
{
    static const char *const known[] = { "experiment", "study", "data", "model", "train", "valid", "test", "tune", "vary",
                                         "quick", "arm NAME", "stage NAME", "eval NAME", "claim NAME", "figure NAME", NULL };
    const char *blank = strchr(section, ' ');
    if (blank)
        return take_named(e, as_say("%.*s", (int)(blank - section), section), blank + 1, key, value, create);
    if (!*section && !strcmp(key, "include"))
        return NULL;
    if (!*section)
        return as_say("%s stands before the first section; only include may", key);
    if (!strcmp(section, "experiment"))
        return take_experiment(e, key, value);
    if (!strcmp(section, "model"))
        return take_model(e, key, value);
    if (!strcmp(section, "train"))
        return take_train(e, key, value);
    if (!strcmp(section, "study"))
        return take_study(e, key, value);
    if (!strcmp(section, "test"))
        return take_test(e, key, value);
    if (!strcmp(section, "data") || !strcmp(section, "valid"))
        return as_config_set(e->base, as_say("%s.%s", section, key), value, true), NULL;
    if (!strcmp(section, "tune")) {
        if (!e->tune_seed)
            make_tune_seeds(e, DEFAULT_TUNE_SEEDS);
        return take_tune(e, key, value);
    }
    if (!strcmp(section, "vary"))
        return !strcmp(key, "seed") ? take_seeds(e, value) : take_axis(&e->vary, &e->n_vary, key, value);
    if (!strcmp(section, "match") || !strcmp(section, "replicate"))
        return as_say("[%s] is not supported yet by this version", section);
    const char *nearest = as_nearest(section, known);
    return as_say("unknown section [%s]%s%s%s", section, nearest ? ": did you mean [" : "", nearest ? nearest : "",
                  nearest ? "]?" : "");
}
