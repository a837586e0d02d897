/* registry.c: finding plug-ins by name, choosing among their implementations, and checking every descriptor
 * against the contracts once, so that no hook has to be guarded where it is called. */
#include <assay/error.h>
#include <assay/layer.h>
#include <assay/objective.h>
#include <assay/parallel.h>
#include <assay/registry.h>
#include <assay/rule.h>
#include <assay/source.h>
#include <assay/study.h>
#include <stdlib.h>
#include <string.h>

/* The variants that are wrong on purpose: linked into tests only, and found there by their full name. */
extern const struct as_entry AS_REAL(as_mock_entries)[] __attribute__((weak));
#define mock_entries AS_REAL(as_mock_entries)

/* What a plug-in describes; NULL for a kernel file. */
static const char *kind_of(const struct as_entry *e)
{
    const struct as_plugin *p = e->plugin;
    return p->variant ? "layer" : p->rule ? "rule" : p->objective ? "objective" : p->study ? "study"
         : p->source ? "source" : NULL;
}

static bool is_kind(const struct as_entry *e, const char *kind)
{
    const char *k = *e->kernel ? NULL : kind_of(e);
    return k && !strcmp(k, kind);
}

/* "deltanet" or "linear-attention/deltanet". Mocks need their folder. */
static bool is_named(const struct as_entry *e, const char *name)
{
    size_t n = strlen(e->family);
    if (!strncmp(name, e->family, n) && name[n] == '/')
        return !strcmp(name + n + 1, e->name);
    return !strcmp(name, e->name) && strcmp(e->family, "mock") != 0;
}

static const struct as_entry *find_in(const struct as_entry *table, const char *kind, const char *name)
{
    for (const struct as_entry *e = table; e && e->path; e++)
        if (is_kind(e, kind) && is_named(e, name))
            return e;
    return NULL;
}

const struct as_entry *as_registry_find(const char *kind, const char *name, const char **nearest)
{
    /* Sources know no `real`: they are built once, and stand in the first table only. */
    const struct as_entry *table = strcmp(kind, "source") ? as_entries_real : as_entries;
    const struct as_entry *found = find_in(table, kind, name);
    if (!found)
        found = find_in(mock_entries, kind, name);
    if (found || !nearest)
        return found;
    size_t n = 0;
    for (const struct as_entry *e = table; e->path; e++)
        n++;
    const char **names = malloc((n + 1) * sizeof *names);
    if (!names)
        as_fail(AS_NO_MEMORY, "out of memory while looking for %s", name);
    n = 0;
    for (const struct as_entry *e = table; e->path; e++)
        if (is_kind(e, kind))
            names[n++] = e->name;
    names[n] = NULL;
    const char *slash = strchr(name, '/');
    *nearest = as_nearest(slash ? slash + 1 : name, names);
    free(names);
    return NULL;
}

const struct as_study *as_study_build(const struct as_entry *e)
{
    const struct as_study *s = e->plugin->study;
    for (const struct as_entry *d = as_entries_d; s->in_double && d->path; d++)
        if (!strcmp(d->path, e->path))
            return d->plugin->study;
    return s;
}

/* --- implementations ---------------------------------------------------------------------------------------- */

/* The table that an entry stands in. */
static const struct as_entry *table_of(const struct as_entry *entry)
{
    for (const struct as_entry *e = mock_entries; e && e->path; e++)
        if (e == entry)
            return mock_entries;
    return as_entries_real;
}

/* Among the builds of one kernel file, the one for the highest level that this processor has. */
static bool is_best_level(const struct as_entry *table, const struct as_entry *e)
{
    if (!*e->kernel)
        return true;
    if (e->level > (int)as_level())
        return false;
    for (const struct as_entry *o = table; o->path; o++)
        if (!strcmp(o->path, e->path) && o->level <= (int)as_level() && o->level > e->level)
            return false;
    return true;
}

static bool is_before(const struct as_impl *a, const struct as_impl *b)
{
    return a->rank != b->rank ? a->rank > b->rank : strcmp(a->name, b->name) < 0;
}

int as_registry_impls(const struct as_entry *variant, struct as_choice *out, int room)
{
    const struct as_entry *table = table_of(variant);
    int n = 0;
    for (const struct as_entry *e = table; e->path; e++) {
        if (strcmp(e->family, variant->family) != 0 || strcmp(e->name, variant->name) != 0 || !is_best_level(table, e))
            continue;
        for (int i = 0; i < AS_MAX_IMPL && e->plugin->impl[i]; i++, n++) {
            struct as_choice c = { e->plugin->impl[i], e };
            int at = n < room ? n : room;        /* insertion by rank; the worst fall off the end */
            for (; at > 0 && is_before(c.impl, out[at - 1].impl); at--)
                if (at < room)
                    out[at] = out[at - 1];
            if (at < room)
                out[at] = c;
        }
    }
    return n;
}
