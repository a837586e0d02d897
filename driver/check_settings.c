/* check_settings.c: every option at its default, its ends and one step beyond. */
#include "check/check.h"

#include <assay/config.h>
#include <assay/error.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct list { struct check_setting *out; int room, n; };

static void add(struct list *l, const struct as_option *row, bool beyond, const char *text)
{
    struct check_setting s = { .row = row, .beyond = beyond };

    if ((size_t)snprintf(s.value, sizeof s.value, "%s", text) >= sizeof s.value)
        as_fail(AS_FAILED, "option %s: the value %s is longer than %zu characters", row->key, text, sizeof s.value);
    for (int i = 0; i < l->n && i < l->room; i++)
        if (l->out[i].row == row && strcmp(l->out[i].value, s.value) == 0)
            return;
    if (l->n < l->room)
        l->out[l->n] = s;
    l->n++;
}

static void add_words(struct list *l, const struct as_option *row)
{
    char word[64];

    for (const char *at = row->words; *at; at += strcspn(at, "|"), at += *at == '|') {
        snprintf(word, sizeof word, "%.*s", (int)strcspn(at, "|"), at);
        add(l, row, false, word);
    }
    add(l, row, true, "no-such-word");
}

static const char *number(const struct as_option *row, double v)
{
    return as_say(row->type == AS_NUM ? "%.17g" : "%.0f", v);
}

/* The next number below; of zero the next that is no denormal, which would count as zero again. */
static double below(double x) { return x == 0 ? -DBL_MIN : nextafter(x, -(double)INFINITY); }

static void add_numbers(struct list *l, const struct as_option *row)
{
    bool any = row->min == 0 && row->max == 0, whole = row->type != AS_NUM;

    if (row->type != AS_RANGE || !row->words)
        add(l, row, false, number(row, row->def));
    if (any) {
        add(l, row, true, "much");
        return;
    }
    add(l, row, false, number(row, row->min));
    add(l, row, false, number(row, row->max));
    add(l, row, true, number(row, whole ? row->min - 1 : below(row->min)));
    add(l, row, true, number(row, whole ? row->max + 1 : -below(-row->max)));
    if (row->type == AS_RANGE)
        add(l, row, false, as_say("%.0f..%.0f", row->min, row->max));
}

int check_settings(const struct as_option *table, struct check_setting *out, int room)
{
    struct list l = { out, room, 0 };

    for (const struct as_option *row = table; row && row->key; row++)
        switch (row->type) {
        case AS_WORD:
            add_words(&l, row);
            break;
        case AS_BOOL:
            add(&l, row, false, "0");
            add(&l, row, false, "1");
            add(&l, row, true, "2");
            break;
        case AS_INT:
        case AS_NUM:
        case AS_RANGE:
            add_numbers(&l, row);
            break;
        }
    return l.n;
}

const char *check_options_with(const struct as_option *table, const struct check_setting *s, void *opt, size_t opt_size)
{
    struct as_config *cfg = as_config_new();
    const char *why;

    if (s)
        as_config_set(cfg, s->row->key, s->value, true);
    why = as_options_read(table, opt, opt_size, cfg, "");
    as_config_free(cfg);
    return why;
}
