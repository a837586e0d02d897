/* config.c: see include/assay/config.h. A configuration has some dozens of keys: lists are searched from the
 * front, and order is kept, so that what is printed follows what was written. */
#include "number.h"

#include <assay/config.h>
#include <assay/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *p)
{
    if (!p)
        as_fail(AS_NO_MEMORY, "out of memory for a configuration");
    return p;
}

struct as_config *as_config_new(void)
{
    return need(calloc(1, sizeof(struct as_config)));
}

void as_config_free(struct as_config *cfg)
{
    if (!cfg)
        return;
    for (size_t i = 0; i < cfg->n; i++) {
        free(cfg->entry[i].key);
        free(cfg->entry[i].text);
    }
    free(cfg->entry);
    free(cfg);
}

static struct as_config_entry *find(const struct as_config *cfg, const char *key)
{
    for (size_t i = 0; i < cfg->n; i++)
        if (!strcmp(cfg->entry[i].key, key))
            return &cfg->entry[i];
    return NULL;
}

void as_config_set(struct as_config *cfg, const char *key, const char *text, bool given)
{
    struct as_config_entry *e = find(cfg, key);
    char *copy = need(strdup(text));
    if (e) {
        free(e->text);
        e->text = copy;
        e->given = e->given || given;
        return;
    }
    if (cfg->n == cfg->room) {
        size_t room = cfg->room ? 2 * cfg->room : 32;
        cfg->entry = need(realloc(cfg->entry, room * sizeof *cfg->entry));
        cfg->room = room;
    }
    char *name = need(strdup(key));
    cfg->entry[cfg->n++] = (struct as_config_entry){ .key = name, .text = copy, .given = given };
}

struct as_config *as_config_copy(const struct as_config *cfg)
{
    struct as_config *c = as_config_new();
    for (size_t i = 0; i < cfg->n; i++) {
        as_config_set(c, cfg->entry[i].key, cfg->entry[i].text, cfg->entry[i].given);
        c->entry[i].read = cfg->entry[i].read;
    }
    return c;
}

const char *as_config_get(struct as_config *cfg, const char *key)
{
    struct as_config_entry *e = find(cfg, key);
    if (!e)
        return NULL;
    e->read = true;
    return e->text;
}

/* Writes a default or a number in its usual form; the key counts as read. */
static void write_back(struct as_config *cfg, const char *key, const char *text)
{
    as_config_set(cfg, key, text, false);
    find(cfg, key)->read = true;
}

static void write_number(struct as_config *cfg, const char *key, double value)
{
    char buf[40];
    as_number_text(buf, sizeof buf, value);
    write_back(cfg, key, buf);
}

static void check_range(const char *key, const char *text, double value, double min, double max)
{
    char lo[40], hi[40];
    if ((min == 0 && max == 0) || (value >= min && value <= max))
        return;
    as_number_text(lo, sizeof lo, min);
    as_number_text(hi, sizeof hi, max);
    as_fail(AS_REFUSED, "%s = %s is out of range: %s to %s", key, text, lo, hi);
}

double as_config_num(struct as_config *cfg, const char *key, double def, double min, double max)
{
    const char *text = as_config_get(cfg, key);
    double value = def;
    if (text) {
        if (!as_parse_num(text, &value))
            as_fail(AS_REFUSED, "%s = %s is no number", key, text);
        check_range(key, text, value, min, max);
    }
    write_number(cfg, key, value);
    return value;
}

long as_config_int(struct as_config *cfg, const char *key, long def, long min, long max)
{
    const char *text = as_config_get(cfg, key);
    long value = def;
    if (text) {
        if (!as_parse_whole(text, &value))
            as_fail(AS_REFUSED, "%s = %s is no whole number", key, text);
        check_range(key, text, (double)value, (double)min, (double)max);
    }
    write_number(cfg, key, (double)value);
    return value;
}

const char *as_config_word(struct as_config *cfg, const char *key, const char *def)
{
    const char *text = as_config_get(cfg, key);
    if (text || !def)
        return text;
    write_back(cfg, key, def);
    return find(cfg, key)->text;
}

bool as_config_bool(struct as_config *cfg, const char *key, bool def)
{
    const char *text = as_config_get(cfg, key);
    bool value = def;
    if (text && !as_parse_bool(text, &value))
        as_fail(AS_REFUSED, "%s = %s is neither on nor off", key, text);
    write_back(cfg, key, value ? "on" : "off");
    return value;
}

const char *as_config_unread(const struct as_config *cfg)
{
    size_t bad = 0, n = 0;
    while (bad < cfg->n && (!cfg->entry[bad].given || cfg->entry[bad].read))
        bad++;
    if (bad == cfg->n)
        return NULL;
    const char **known = need(malloc((cfg->n + 1) * sizeof *known));
    for (size_t i = 0; i < cfg->n; i++)
        if (cfg->entry[i].read)
            known[n++] = cfg->entry[i].key;
    known[n] = NULL;
    const char *nearest = as_nearest(cfg->entry[bad].key, known);
    free(known);
    if (nearest)
        return as_say("nothing here has a key \"%s\": did you mean \"%s\"?", cfg->entry[bad].key, nearest);
    return as_say("nothing here has a key \"%s\"", cfg->entry[bad].key);
}

static int by_key(const void *a, const void *b)
{
    const struct as_config_entry *const *x = a, *const *y = b;
    return strcmp((*x)->key, (*y)->key);
}

char *as_config_text(const struct as_config *cfg)
{
    const struct as_config_entry **order = need(malloc((cfg->n + 1) * sizeof *order));
    size_t bytes = 1, at = 0;
    for (size_t i = 0; i < cfg->n; i++) {
        order[i] = &cfg->entry[i];
        bytes += strlen(cfg->entry[i].key) + strlen(cfg->entry[i].text) + 4;
    }
    if (cfg->n)
        qsort(order, cfg->n, sizeof *order, by_key);
    char *text = need(malloc(bytes));
    text[0] = '\0';
    for (size_t i = 0; i < cfg->n; i++)
        at += (size_t)snprintf(text + at, bytes - at, "%s = %s\n", order[i]->key, order[i]->text);
    free(order);
    return text;
}
