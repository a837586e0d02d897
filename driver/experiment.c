/* experiment.c: reading and checking experiment files. They are found by experiment_find.c, their sections taken in by
 * experiment_take.c. */
#include "experiment_impl.h"
#include "file.h"

#include <assay/error.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SEEDS 10

/* --- checks that need the whole file ------------------------------------------------------------------------- */

static int line_of(const struct ini *ini, const char *kind, const char *name, const char *key)
{
    const char *section = as_say("%s %s", kind, name);
    int first = 0;
    for (int i = 0; i < ini->n; i++) {
        if (strcmp(ini->entry[i].section, section))
            continue;
        if (!first || (key && !strcmp(ini->entry[i].key, key)))
            first = ini->entry[i].line;
    }
    return first;
}

static const char *check_claims(struct experiment *e, const struct ini *ini)
{
    for (int i = 0; i < e->n_claims; i++) {
        struct claim_text *c = &e->claim[i];
        struct claim_error err = { 0 };
        e->claim_line[i] = line_of(ini, "claim", c->name, NULL);
        struct claim *parsed = claim_parse(c, &err);
        claim_free(parsed);
        if (parsed)
            continue;
        int line = line_of(ini, "claim", c->name, err.field);
        if (err.column)
            return as_say("%s:%d: claim %s, `%s` column %d: %s", e->path, line, c->name, err.field, err.column,
                          err.text);
        return as_say("%s:%d: claim %s: %s", e->path, line, c->name, err.text);
    }
    return NULL;
}

/* One key has one place. `where` is that of the second. */
static const char *check_axis(const struct experiment *e, const char *key, bool tuned)
{
    if (!tuned && config_find(e->base, key))
        return as_say("%s: %s has one value and varies as well; remove it from one of the sections", e->path, key);
    if (tuned && axis_find(e->vary, e->n_vary, key))
        return as_say("%s: %s is tuned and varies; remove it from one of the sections", e->path, key);
    for (int i = 0; i < e->n_arms; i++)
        if (config_find(e->arm[i].set, key))
            return as_say("%s: %s stands in [arm %s] and in [%s]; remove it from one of them", e->path, key,
                          e->arm[i].name, tuned ? "tune" : "vary");
    return NULL;
}

/* What a figure may say besides: how it is drawn, and one value of an axis that it leaves out otherwise. */
static const char *check_figure(const struct experiment *e, struct figure *f, const struct ini *ini)
{
    static const char *const known[] = { "kind", "x", "y", "by", "title", "xlabel", "ylabel", "xscale", "yscale", NULL };
    f->line = line_of(ini, "figure", f->name, NULL);
    if (!f->kind)
        return as_say("%s:%d: figure %s has no kind", e->path, f->line, f->name);
    for (size_t i = 0; i < f->set->n; i++) {
        const char *key = f->set->entry[i].key;
        bool right = !strcmp(key, "arm") || axis_find(e->vary, e->n_vary, key) || config_find(e->base, key);
        for (int k = 0; known[k] && !right; k++)
            right = !strcmp(key, known[k]);
        for (int v = 0; v < e->n_evals; v++)
            for (int a = 0; a < e->eval[v].n_axes && !right; a++)
                right = !strcmp(key, eval_axis_name(&e->eval[v], &e->eval[v].axis[a]));
        const char *nearest = right ? NULL : as_nearest(key, known);
        if (!right)
            return as_say("%s:%d: [figure %s]: unknown key %s%s%s; known are kind, x, y, by, title, xlabel, ylabel, xscale, "
                          "yscale and the axes", e->path, line_of(ini, "figure", f->name, key), f->name, key,
                          nearest ? ", did you mean " : "", nearest ? nearest : "");
    }
    return NULL;
}

static const char *check_rest(struct experiment *e, const struct ini *ini)
{
    const char *why = NULL;
    if (!e->title)
        return as_say("%s: [experiment] has no title", e->path);
    for (int i = 0; i < e->n_vary && !why; i++)
        why = check_axis(e, e->vary[i].key, false);
    for (int i = 0; i < e->n_tune && !why; i++)
        why = check_axis(e, e->tune[i].key, true);
    for (int i = 0; i < e->n_figures && !why; i++)
        why = check_figure(e, &e->figure[i], ini);
    if (!why)
        why = check_stages(e);
    return why ? why : check_claims(e, ini);
}

/* --- reading --------------------------------------------------------------------------------------------------- */

static const char *take_entries(struct experiment *e, const struct ini *ini)
{
    for (int i = 0; i < ini->n; i++) {
        const struct ini_entry *k = &ini->entry[i];
        if (!strcmp(k->section, "quick"))
            continue;
        const char *why = experiment_take(e, k->section, k->key, k->value, true);
        if (why)
            return as_say("%s:%d: %s", k->file, k->line, why);
    }
    return NULL;
}

static const char *apply_quick(struct experiment *e, const struct ini *ini)
{
    const char **key = more(NULL, ini->n, sizeof *key), **value = more(NULL, ini->n, sizeof *value);
    int n = 0;
    for (int i = 0; i < ini->n; i++) {
        if (strcmp(ini->entry[i].section, "quick"))
            continue;
        key[n] = ini->entry[i].key;
        value[n++] = ini->entry[i].value;
    }
    const char *why = n ? experiment_override(e, key, value, n)
                        : "there is no section [quick], which says what --quick makes smaller";
    if (why)
        why = as_say("%s: [quick]: %s", e->path, why);
    free(key);
    free(value);
    return why;
}

/* The command line is held to what a file is: settings are kept and hashed a line each. */
static const char *unprintable(const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s; s++)
        if (*s < 0x20 || *s == 0x7f)
            return as_say("--set, byte %d, is a control character (code %d); remove it",
                          (int)(s - (const unsigned char *)text) + 1, *s);
    return NULL;
}

static const char *apply_overrides(struct experiment *e, const char *const *text, int n)
{
    const char **key = more(NULL, n, sizeof *key), **value = more(NULL, n, sizeof *value), *why = NULL;
    for (int i = 0; i < n && !why; i++) {
        const char *equals = strchr(text[i], '=');
        why = unprintable(text[i]);
        if (why)
            break;
        if (!equals || equals == text[i] || !equals[1 + strspn(equals + 1, " ")]) {
            why = as_say("--set %s: write --set KEY=VALUE", text[i]);
            break;
        }
        size_t m = (size_t)(equals - text[i]);
        while (m > 0 && text[i][m - 1] == ' ')
            m--;
        key[i] = file_text("%.*s", (int)m, text[i]);
        value[i] = equals + 1 + strspn(equals + 1, " ");
    }
    if (!why && n)
        why = experiment_override(e, key, value, n);
    keep_settings(e, text, n);
    if (why && strncmp(why, "--set", 5))
        why = as_say("--set: %s", why);
    for (int i = 0; i < n; i++)
        free((char *)key[i]);
    free(key);
    free(value);
    return why;
}

static char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    return dot && !strcmp(dot, ".ini") ? file_text("%.*s", (int)(dot - base), base) : file_text("%s", base);
}

static void settle_seeds(struct experiment *e)
{
    if (!e->n_seeds) {
        e->seed = more(NULL, DEFAULT_SEEDS - 1, sizeof *e->seed);
        for (e->n_seeds = 0; e->n_seeds < DEFAULT_SEEDS; e->n_seeds++)
            e->seed[e->n_seeds] = e->n_seeds;
    }
    e->own_seed = more(NULL, e->n_seeds, sizeof *e->own_seed);
    memcpy(e->own_seed, e->seed, (size_t)e->n_seeds * sizeof *e->own_seed);
    e->n_own_seeds = e->n_seeds;
}

struct experiment *experiment_read(const char *name, const char *const *overrides, int n_overrides, bool quick,
                                   const char **why)
{
    char *path = experiment_path(name);
    if (!path) {
        *why = experiment_missing(name);
        return NULL;
    }
    struct ini *ini = ini_read(path, why);
    if (!ini) {
        free(path);
        return NULL;
    }
    struct experiment *e = more(NULL, 0, sizeof *e);
    e->path = path;
    e->name = name_of(path);
    e->minutes = (double)NAN;
    e->quick = quick;
    e->base = as_config_new();
    e->looks = 1;
    *why = stages_find(e, ini);
    if (!*why)
        *why = take_entries(e, ini);
    settle_seeds(e);
    if (!*why && quick)
        *why = apply_quick(e, ini);
    e->altered = e->altered || quick;
    if (!*why)
        *why = apply_overrides(e, overrides, n_overrides);
    if (!*why)
        *why = check_rest(e, ini);
    if (!e->n_tune)
        e->n_tune_seeds = 0;
    if (*why)
        *why = as_say("%s", *why);        /* it may borrow from what goes now */
    ini_free(ini);
    if (!*why)
        return e;
    experiment_free(e);
    return NULL;
}

static void axes_free(struct axis *axis, int n)
{
    while (n)
        axis_remove(axis, &n, &axis[n - 1]);
    free(axis);
}

static void claims_free(struct experiment *e)
{
    for (int i = 0; i < e->n_claims; i++) {
        free((char *)e->claim[i].name);
        free((char *)e->claim[i].that);
        free((char *)e->claim[i].given);
        free((char *)e->claim[i].source);
        free((char *)e->claim[i].alpha);
    }
    free(e->claim);
    free(e->claim_line);
}

static void figures_free(struct experiment *e)
{
    for (int i = 0; i < e->n_figures; i++) {
        free(e->figure[i].name);
        free(e->figure[i].kind);
        free(e->figure[i].x);
        free(e->figure[i].y);
        free(e->figure[i].by);
        as_config_free(e->figure[i].set);
    }
    free(e->figure);
}

void experiment_free(struct experiment *e)
{
    if (!e)
        return;
    for (int i = 0; i < e->n_arms; i++) {
        free(e->arm[i].name);
        as_config_free(e->arm[i].set);
    }
    for (int i = 0; i < e->n_evals; i++) {
        free(e->eval[i].name);
        axes_free(e->eval[i].axis, e->eval[i].n_axes);
        as_config_free(e->eval[i].set);
    }
    axes_free(e->vary, e->n_vary);
    axes_free(e->tune, e->n_tune);
    claims_free(e);
    figures_free(e);
    texts_free(e->metric, e->n_metrics);
    texts_free(e->stage, e->n_stages);
    as_config_free(e->base);
    free(e->arm);
    free(e->eval);
    free(e->seed);
    free(e->own_seed);
    free(e->settings);
    free(e->tune_seed);
    free(e->name);
    free(e->path);
    free(e->title);
    free(e->papers);
    free(e->note);
    free(e);
}
