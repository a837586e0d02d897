/* experiment_override.c: [quick] and the command line change an experiment that has been read. An override wins over
 * whatever the file says: an axis with that key goes, and arms lose the key; arms that no longer differ become one. */
#include "experiment_impl.h"
#include "file.h"
#include "stages.h"

#include <assay/error.h>
#include <assay/layer.h>
#include <assay/registry.h>
#include <stdlib.h>
#include <string.h>

static void note(struct experiment *e, const char *text)
{
    char *longer = e->note ? file_text("%s\n%s", e->note, text) : file_text("%s", text);
    free(e->note);
    e->note = longer;
}

/* Whether a layer has an option or slot that `rest` ("core.impl") begins with. */
static bool layer_has(const struct as_variant *v, const char *rest)
{
    size_t n = strcspn(rest, ".");
    for (const struct as_option *o = v->options; o && o->key; o++)
        if (!strcmp(o->key, rest))
            return true;
    for (const struct as_slot *s = v->slots; s && s->name; s++)
        if (strlen(s->name) == n && !strncmp(s->name, rest, n))
            return true;
    return false;
}

static const struct as_variant *layer_called(const char *key, const char *name)
{
    const struct as_entry *entry = is_model_key(key) ? as_registry_find("layer", name, NULL) : NULL;
    return entry ? entry->plugin->variant : NULL;
}

/* Whether `key` is an option of the slot `slot` which its new filler does not have. "mixer.impl" goes as well: it
 * names an implementation of the old one. */
static bool is_stale(const char *key, const char *slot, const struct as_variant *filler)
{
    size_t n = strlen(slot);
    return !strncmp(key, slot, n) && key[n] == '.' && !layer_has(filler, key + n + 1);
}

static void drop_stale(struct as_config *cfg, const char *slot, const struct as_variant *filler)
{
    for (size_t i = cfg->n; i-- > 0;)
        if (is_stale(cfg->entry[i].key, slot, filler))
            config_remove(cfg, cfg->entry[i].key);
}

static bool same_set(const struct as_config *a, const struct as_config *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const char *other = config_find(b, a->entry[i].key);
        if (!other || strcmp(other, a->entry[i].text))
            return false;
    }
    return true;
}

/* One arm is no axis: what is left of it goes into the base. */
static void dissolve_arm(struct experiment *e)
{
    for (size_t i = 0; i < e->arm[0].set->n; i++)
        as_config_set(e->base, e->arm[0].set->entry[i].key, e->arm[0].set->entry[i].text, true);
    note(e, "no two arms differ: the axis arm is gone");
    free(e->arm[0].name);
    as_config_free(e->arm[0].set);
    e->n_arms = 0;
}

static void merge_arms(struct experiment *e)
{
    for (int i = 1; i < e->n_arms; i++) {
        int j = 0;
        while (j < i && !same_set(e->arm[i].set, e->arm[j].set))
            j++;
        if (j == i)
            continue;
        note(e, as_say("arm %s no longer differs from arm %s and is left out", e->arm[i].name, e->arm[j].name));
        free(e->arm[i].name);
        as_config_free(e->arm[i].set);
        memmove(&e->arm[i], &e->arm[i + 1], (size_t)(e->n_arms - i - 1) * sizeof *e->arm);
        e->n_arms--;
        i--;
        if (e->n_arms == 1)
            dissolve_arm(e);
    }
}

/* A key that has one value from now on: arms and axes lose it, and what was an option of its old filler. */
static void forget(struct experiment *e, const char *key, const char *value, const struct as_variant *filler)
{
    for (int i = 0; i < e->n_arms; i++) {
        config_remove(e->arm[i].set, key);
        if (filler)
            drop_stale(e->arm[i].set, key, filler);
    }
    merge_arms(e);
    for (int i = e->n_vary; i-- > 0;) {
        struct axis *a = &e->vary[i];
        if (strcmp(a->key, key) && !(filler && is_stale(a->key, key, filler)))
            continue;
        note(e, as_say("the axis %s is left out: %s = %s stands for all", a->key, key, value));
        axis_remove(e->vary, &e->n_vary, a);
    }
    struct axis *a = axis_find(e->tune, e->n_tune, key);
    if (a)
        axis_remove(e->tune, &e->n_tune, a);
    if (filler)
        drop_stale(e->base, key, filler);
}

/* A key of the base: nothing else may set it any more, no stage either. */
static void override_base(struct experiment *e, const char *key, const char *value)
{
    const struct as_variant *filler = layer_called(key, value);
    forget(e, key, value, filler);
    for (int i = 0; i < e->n_stages && stage_key(key, NULL, 0) == key; i++) {
        char *own = file_text("stage.%s.%s", e->stage[i], key);
        forget(e, own, value, filler);
        if (config_remove(e->base, own))
            note(e, as_say("%s is left out: %s = %s stands for all stages", own, key, value));
        free(own);
    }
    as_config_set(e->base, key, value, true);
}

static void tune_off(struct experiment *e)
{
    while (e->n_tune)
        axis_remove(e->tune, &e->n_tune, &e->tune[e->n_tune - 1]);
    free(e->tune_seed);
    e->tune_seed = NULL;
    e->n_tune_seeds = 0;
}

static const char *override_named(struct experiment *e, const char *kind, const char *rest, const char *key,
                                  const char *value)
{
    const char *dot = strchr(rest, '.');
    if (!dot)
        return as_say("%s: write %s.NAME.KEY", key, kind);
    return experiment_take(e, as_say("%s %.*s", kind, (int)(dot - rest), rest), dot + 1, value, false);
}

static const char *override_one(struct experiment *e, const char *key, const char *value)
{
    if (!strcmp(key, "seeds") || !strcmp(key, "seed"))
        return experiment_take(e, "vary", "seed", value, false);
    e->altered = true;
    if (!strcmp(key, "tune")) {
        if (strcmp(value, "off"))
            return as_say("tune = %s is unknown: it can be off; single keys are tune.KEY", value);
        return tune_off(e), NULL;
    }
    if (!strncmp(key, "tune.", 5) || !strncmp(key, "vary.", 5))
        return experiment_take(e, as_say("%.4s", key), key + 5, value, false);
    if (!strncmp(key, "arm.", 4))
        return override_named(e, "arm", key + 4, key, value);
    if (!strncmp(key, "eval.", 5))
        return override_named(e, "eval", key + 5, key, value);
    if (!strcmp(key, "test.metrics"))
        return experiment_take(e, "test", "metrics", value, false);
    key = full_key(key);
    if (!strcmp(key, "train.select") && !strcmp(value, "best validation"))
        value = "best";
    override_base(e, key, value);
    return NULL;
}

/* Fillers of slots first: a new one takes the options of the old one away, but none that was given with it. Keys of a
 * stage last: a plain one takes them away, but none that was given with it. */
static int turn_of(const char *key, const char *value)
{
    return 2 * (stage_key(key, NULL, 0) != key) + (layer_called(key, value) == NULL);
}

const char *experiment_override(struct experiment *e, const char *const *key, const char *const *value, int n)
{
    for (int turn = 0; turn < 4; turn++) {
        for (int i = 0; i < n; i++) {
            const char *why = turn_of(key[i], value[i]) == turn ? override_one(e, key[i], value[i]) : NULL;
            if (why)
                return why;
        }
    }
    return NULL;
}

static bool is_seed(const char *text)
{
    size_t n = strcspn(text, " =");
    return (n == 4 || n == 5) && !strncmp(text, "seeds", n);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

void keep_settings(struct experiment *e, const char *const *text, int n)
{
    const char **set = more(NULL, n, sizeof *set);
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (!is_seed(text[i]))
            set[kept++] = text[i];
    qsort(set, (size_t)kept, sizeof *set, by_text);
    for (int i = 0; i < kept; i++) {
        char *longer = file_text("%s%s\n", e->settings ? e->settings : "", set[i]);
        free(e->settings);
        e->settings = longer;
    }
    free(set);
}
