/* option.c: see include/assay/option.h. */
#include "number.h"

#include <assay/config.h>
#include <assay/error.h>
#include <assay/option.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_WORDS 32

/* Cuts "none|rotary|learned" into words (in buf). Returns how many there are. */
static int split_words(const char *words, char *buf, size_t n, const char *out[MAX_WORDS + 1])
{
    int count = 0;
    snprintf(buf, n, "%s", words);
    for (char *save, *w = strtok_r(buf, "|", &save); w && count < MAX_WORDS; w = strtok_r(NULL, "|", &save))
        out[count++] = w;
    out[count] = NULL;
    return count;
}

/* The readable form of the list: "none, rotary or learned". */
static void list_words(const char *const *words, int count, char *buf, size_t n)
{
    size_t at = 0;
    buf[0] = '\0';
    for (int i = 0; i < count && at < n; i++)
        at += (size_t)snprintf(buf + at, n - at, "%s%s", i == 0 ? "" : i == count - 1 ? " or " : ", ", words[i]);
}

static const char *check_range(const struct as_option *row, const char *key, const char *text, double lo, double hi)
{
    char min[40], max[40];
    if ((row->min == 0 && row->max == 0) || (lo >= row->min && hi <= row->max))
        return NULL;
    as_number_text(min, sizeof min, row->min);
    as_number_text(max, sizeof max, row->max);
    return as_say("%s = %s is out of range: %s to %s", key, text, min, max);
}

static const char *set_word(const struct as_option *row, const char *key, int *field, const char *text)
{
    char buf[512], list[512];
    const char *word[MAX_WORDS + 1];
    int n = split_words(row->words, buf, sizeof buf, word);
    for (int i = 0; i < n; i++) {
        if (!strcmp(word[i], text)) {
            *field = i;
            return NULL;
        }
    }
    const char *nearest = as_nearest(text, word);
    list_words(word, n, list, sizeof list);
    if (nearest)
        return as_say("%s = %s is unknown: did you mean %s? It can be %s", key, text, nearest, list);
    return as_say("%s = %s is unknown: it can be %s", key, text, list);
}

static const char *set_whole(const struct as_option *row, const char *key, int *field, const char *text)
{
    long v;
    if (!as_parse_whole(text, &v))
        return as_say("%s = %s is no whole number", key, text);
    const char *why = check_range(row, key, text, (double)v, (double)v);
    if (why)
        return why;
    if (v < INT_MIN || v > INT_MAX)
        return as_say("%s = %s is out of range: %d to %d", key, text, INT_MIN, INT_MAX);
    *field = (int)v;
    return NULL;
}

/* key: the name to complain about, with its prefix. */
static const char *set(const struct as_option *row, const char *key, void *opt, const char *text)
{
    char *at = (char *)opt + row->offset;
    const char *why;
    switch (row->type) {
    case AS_INT:
        return set_whole(row, key, (int *)(void *)at, text);
    case AS_NUM: {
        double v;
        if (!as_parse_num(text, &v))
            return as_say("%s = %s is no number", key, text);
        why = check_range(row, key, text, v, v);
        if (!why)
            *(double *)(void *)at = v;
        return why;
    }
    case AS_BOOL: {
        bool v;
        if (!as_parse_bool(text, &v))
            return as_say("%s = %s is neither on nor off", key, text);
        *(int *)(void *)at = v;
        return NULL;
    }
    case AS_WORD:
        return set_word(row, key, (int *)(void *)at, text);
    case AS_RANGE: {
        struct as_range r;
        why = as_parse_range(text, &r.lo, &r.hi);
        if (why)
            return as_say("%s = %s %s", key, text, why);
        why = check_range(row, key, text, r.lo, r.hi);
        if (!why)
            *(struct as_range *)(void *)at = r;
        return why;
    }
    }
    return as_say("%s: the option table gives it no known type", key);
}

const char *as_option_set(const struct as_option *row, void *opt, const char *text)
{
    return set(row, row->key, opt, text);
}

/* A default is not checked against the range: the registry has done that once for all. */
static const char *set_default(const struct as_option *row, const char *key, void *opt)
{
    char *at = (char *)opt + row->offset;
    switch (row->type) {
    case AS_NUM:
        *(double *)(void *)at = row->def;
        return NULL;
    case AS_RANGE:
        if (row->words)
            return set(row, key, opt, row->words);
        *(struct as_range *)(void *)at = (struct as_range){ (int)row->def, (int)row->def };
        return NULL;
    case AS_INT:
    case AS_BOOL:
    case AS_WORD:
        *(int *)(void *)at = (int)row->def;
        return NULL;
    }
    return as_say("%s: the option table gives it no known type", key);
}

void as_option_text(const struct as_option *row, const void *opt, char *buf, size_t n)
{
    const char *at = (const char *)opt + row->offset;
    switch (row->type) {
    case AS_INT:
        snprintf(buf, n, "%d", *(const int *)(const void *)at);
        return;
    case AS_NUM:
        as_number_text(buf, n, *(const double *)(const void *)at);
        return;
    case AS_BOOL:
        snprintf(buf, n, "%s", *(const int *)(const void *)at ? "on" : "off");
        return;
    case AS_WORD: {
        char copy[512];
        const char *word[MAX_WORDS + 1];
        int count = split_words(row->words, copy, sizeof copy, word), place = *(const int *)(const void *)at;
        snprintf(buf, n, "%s", place >= 0 && place < count ? word[place] : "?");
        return;
    }
    case AS_RANGE: {
        const struct as_range *r = (const void *)at;
        if (r->lo == r->hi)
            snprintf(buf, n, "%d", r->lo);
        else
            snprintf(buf, n, "%d..%d", r->lo, r->hi);
        return;
    }
    }
    snprintf(buf, n, "?");
}

const char *as_options_read(const struct as_option *table, void *opt, size_t opt_size, struct as_config *cfg,
                            const char *prefix)
{
    if (opt_size)
        memset(opt, 0, opt_size);
    for (const struct as_option *row = table; row && row->key; row++) {
        char key[256], buf[256];
        int n = snprintf(key, sizeof key, "%s%s%s", prefix, *prefix ? "." : "", row->key);
        if (n < 0 || (size_t)n >= sizeof key)
            return as_say("the key %s.%s is too long", prefix, row->key);
        const char *text = as_config_get(cfg, key);
        const char *why = text ? set(row, key, opt, text) : set_default(row, key, opt);
        if (why)
            return why;
        as_option_text(row, opt, buf, sizeof buf);
        as_config_set(cfg, key, buf, false);
        as_config_get(cfg, key);       /* marks a default as read, so that it can be named as the nearest key */
    }
    return NULL;
}
