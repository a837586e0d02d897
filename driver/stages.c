/* stages.c: see stages.h. */
#include "stages.h"
#include "file.h"

#include <assay/error.h>
#include <assay/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char order_key[] = "stage.order";

const char *stage_key(const char *key, char *name, size_t room)
{
    const char *dot = strncmp(key, "stage.", 6) ? NULL : strchr(key + 6, '.');
    if (name)
        snprintf(name, room, "%.*s", dot ? (int)(dot - key - 6) : 0, dot ? key + 6 : "");
    return dot ? dot + 1 : key;
}

/* Whether it is a key of that stage; *rest is what stands behind the name. */
static bool is_of(const char *key, const char *name, const char **rest)
{
    size_t n = strlen(name);
    *rest = stage_key(key, NULL, 0);
    return *rest != key && (size_t)(*rest - key) == n + 7 && !strncmp(key + 6, name, n);
}

/* Keys of the whole cell: no stage's. */
static bool is_common(const char *key)
{
    return !strcmp(key, "seed") || !strncmp(key, "test.", 5);
}

static void add_stage(struct stages *s, const char *name)
{
    struct stage *longer = realloc(s->stage, ((size_t)s->n + 1) * sizeof *longer);
    if (!longer)
        as_fail(AS_NO_MEMORY, "no memory for the stages");
    s->stage = longer;
    s->stage[s->n++] = (struct stage){ .name = name ? file_text("%s", name) : NULL };
}

static struct stages single(struct as_config *cfg)
{
    struct stages s = { NULL, 0 };
    add_stage(&s, NULL);
    s.stage[0].config = cfg;
    return s;
}

/* Lays the stage's own keys over what its configuration holds. */
static void take_own(struct stage *s, struct as_config *cfg, bool given)
{
    const char *rest;
    for (size_t i = 0; i < cfg->n; i++) {
        struct as_config_entry *e = &cfg->entry[i];
        if (!is_of(e->key, s->name, &rest))
            continue;
        e->read = true;
        if (strcmp(rest, "fresh")) {
            as_config_set(s->config, rest, e->text, given);
            continue;
        }
        free(s->fresh);
        s->fresh = file_text("%s", e->text);
    }
}

struct stages stages_asked(struct as_config *cfg, char *const *name, int n)
{
    struct stages s = { NULL, 0 };
    if (n == 0)
        return single(cfg);
    for (int i = 0; i < n; i++) {
        add_stage(&s, name[i]);
        struct stage *to = &s.stage[i];
        to->config = as_config_new();
        for (size_t k = 0; k < cfg->n; k++)
            if (strncmp(cfg->entry[k].key, "stage.", 6))
                as_config_set(to->config, cfg->entry[k].key, cfg->entry[k].text, false);
        take_own(to, cfg, true);
    }
    return s;
}

struct stages stages_resolved(struct as_config *cfg)
{
    const char *order = as_config_get(cfg, order_key);
    struct stages s = { NULL, 0 };
    if (!order)
        return single(cfg);
    char *copy = file_text("%s", order);
    for (char *save, *w = strtok_r(copy, ", ", &save); w; w = strtok_r(NULL, ", ", &save)) {
        add_stage(&s, w);
        struct stage *to = &s.stage[s.n - 1];
        to->config = as_config_new();
        for (size_t k = 0; k < cfg->n; k++)
            if (is_common(cfg->entry[k].key))
                as_config_set(to->config, cfg->entry[k].key, cfg->entry[k].text, false);
        take_own(to, cfg, false);
    }
    free(copy);
    return s;
}

static const struct as_config_entry *entry_of(const struct as_config *cfg, const char *key)
{
    for (size_t i = 0; i < cfg->n; i++)
        if (!strcmp(cfg->entry[i].key, key))
            return &cfg->entry[i];
    return NULL;
}

/* How many stages have a key of their own in its place, and whether one of the others has read it. */
static int replaced(const struct as_config *cfg, const struct stages *s, const char *key, bool *read)
{
    int n = 0;
    *read = false;
    for (int i = 0; i < s->n; i++) {
        const struct as_config_entry *e = entry_of(s->stage[i].config, key);
        if (entry_of(cfg, as_say("stage.%s.%s", s->stage[i].name, key)))
            n++;
        else
            *read = *read || (e && e->read);
    }
    return n;
}

const char *stages_unread(const struct as_config *cfg, const struct stages *s)
{
    bool read;
    for (size_t i = 0; i < cfg->n; i++) {
        const struct as_config_entry *e = &cfg->entry[i];
        if (!e->given || !strncmp(e->key, "stage.", 6))
            continue;
        int own = replaced(cfg, s, e->key, &read);
        if (read || own == s->n)                    /* arms may replace it in every stage */
            continue;
        /* The first stage that took it over knows the keys that it might have meant. */
        struct as_config *copy = as_config_copy(s->stage[0].config);
        as_config_set(copy, e->key, e->text, true);
        const char *why = as_config_unread(copy);
        as_config_free(copy);
        return why ? why : as_say("no stage has a key \"%s\"", e->key);
    }
    return NULL;
}

void stages_put(struct as_config *cfg, const struct stages *s)
{
    if (!s->stage[0].name)
        return;
    struct as_config *whole = as_config_new();
    char *order = file_text("%s", "");
    for (int i = 0; i < s->n; i++) {
        const struct stage *from = &s->stage[i];
        char *longer = file_text("%s%s%s", order, i ? ", " : "", from->name);
        free(order);
        order = longer;
        for (size_t k = 0; k < from->config->n; k++) {
            const struct as_config_entry *e = &from->config->entry[k];
            bool common = is_common(e->key);
            as_config_set(whole, common ? e->key : as_say("stage.%s.%s", from->name, e->key), e->text, false);
        }
        if (from->fresh)
            as_config_set(whole, as_say("stage.%s.fresh", from->name), from->fresh, false);
    }
    as_config_set(whole, order_key, order, false);
    free(order);
    /* cfg keeps its place: others point at it. */
    struct as_config was = *cfg;
    *cfg = *whole;
    *whole = was;
    as_config_free(whole);
}

void stages_free(struct stages *s)
{
    for (int i = 0; i < s->n; i++) {
        if (s->stage[i].name)
            as_config_free(s->stage[i].config);
        free(s->stage[i].name);
        free(s->stage[i].fresh);
    }
    free(s->stage);
    *s = (struct stages){ NULL, 0 };
}

/* Seeds are below 2^56 (core/random.c). */
uint64_t stage_seed(long seed, int i)
{
    return i == 0 ? (uint64_t)seed : as_hash(as_say("seed %ld, stage %d", seed, i)) >> 8;
}
