#include <driver/data.h>

#include <assay/error.h>
#include <driver/data_find.h>
#include <driver/fetch.h>
#include <driver/file.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is wanted ------------------------------------------------------------------------------------------- */

static char *option_lines(const struct as_source *source, const void *opt)
{
    char *lines = file_text("%s", ""), value[512];
    for (const struct as_option *row = source->options; row && row->key; row++) {
        as_option_text(row, opt, value, sizeof value);
        char *longer = file_text("%s%s = %s\n", lines, row->key, value);
        free(lines);
        lines = longer;
    }
    return lines;
}

const char *data_want(struct as_config *cfg, struct data_wanted *w)
{
    const char *name = as_config_get(cfg, "data.source"), *nearest = NULL, *why = NULL;
    memset(w, 0, sizeof *w);
    if (!name)
        return as_say("no data: add 'source = NAME' to [data] (see: assay list)");
    w->entry = as_registry_find("source", name, &nearest);
    if (!w->entry)
        return as_say("data.source = %s: there is no such source%s%s", name, nearest ? "; nearest is " : "",
                      nearest ? nearest : "");
    w->source = w->entry->plugin->source;
    w->opt = calloc(1, w->source->opt_size ? w->source->opt_size : 1);
    if (!w->opt)
        as_fail(AS_NO_MEMORY, "out of memory for the options of %s", name);
    if (w->source->options)
        why = as_options_read(w->source->options, w->opt, w->source->opt_size, cfg, "data");
    if (!why && w->source->check)
        why = w->source->check(w->opt);
    if (why) {
        data_want_free(w);
        return why;
    }
    w->options = option_lines(w->source, w->opt);
    w->source->shape(w->opt, &w->shape);
    return NULL;
}

void data_want_free(struct data_wanted *w)
{
    free(w->opt);
    free(w->options);
    w->opt = w->options = NULL;
}

struct dataset_label data_label(const struct data_wanted *w)
{
    return (struct dataset_label){ w->entry->name, w->options, w->source, w->entry->hash };
}

/* ---- where it is kept ----------------------------------------------------------------------------------------- */

char *data_path(const struct data_wanted *w, const char *suffix, const char **why)
{
    const char *folder = getenv("ASSAY_DATA");
    char hex[65], *cache = NULL, *path;
    if (!folder || !*folder) {
        cache = fetch_cache(why);
        if (!cache)
            return NULL;
    }
    char *identity = file_text("%s %d\n%s", w->entry->name, w->source->version, w->options);
    fetch_sha256(identity, strlen(identity), hex);
    free(identity);
    path = cache ? file_text("%s/data/%s-%.16s%s.h5", cache, w->entry->name, hex, suffix)
                 : file_text("%s/%s-%.16s%s.h5", folder, w->entry->name, hex, suffix);
    free(cache);
    return path;
}

/* ---- conversion ----------------------------------------------------------------------------------------------- */

static const char *make_folder_of(const char *path)
{
    char *folder = file_text("%s", path);
    *strrchr(folder, '/') = '\0';
    const char *why = file_make_folder(folder);
    free(folder);
    return why;
}

/* Runs the converter on its verified files. NULL, or why not. */
static const char *convert(const struct data_wanted *w, struct dataset *d)
{
    enum { MOST = 32 };
    struct as_bytes bytes[MOST];
    unsigned char *content[MOST] = { NULL };
    const char *why = NULL;
    int n = 0;
    for (; !why && w->source->files[n].path; n++) {
        if (n == MOST)
            return as_say("%s: more than %d raw files", w->entry->name, MOST);
        content[n] = fetch_raw(&w->source->files[n], &bytes[n].n, &why);
        bytes[n].data = content[n];
    }
    if (!why) {
        struct as_sink sink = dataset_sink(d);
        why = w->source->convert(w->opt, bytes, &sink);
        if (!why)
            why = dataset_finish(d);
        if (why)
            why = as_say("%s: conversion: %s", w->entry->name, why);
    }
    while (n > 0)
        free(content[--n]);
    return why;
}

struct dataset *data_convert(const struct data_wanted *w, const char *path, const char **why)
{
    struct dataset *d = dataset_new(&w->shape);
    struct dataset_label label = data_label(w);
    *why = make_folder_of(path);
    if (!*why)
        *why = convert(w, d);
    if (!*why)
        *why = dataset_write(d, path, &label);
    if (!*why)
        return d;
    dataset_free(d);
    return NULL;
}

/* ---- what has been loaded by this process --------------------------------------------------------------------- */

static struct loaded { char *path; struct dataset *data; struct loaded *next; } *all;

const struct dataset *data_load(const struct data_wanted *w, const char **why)
{
    struct dataset_label label = data_label(w);
    char *path = data_path(w, "", why), *damage = NULL;
    struct dataset *d = NULL;
    if (!path)
        return NULL;
    for (struct loaded *l = all; l; l = l->next)
        if (strcmp(l->path, path) == 0) {
            free(path);
            return l->data;
        }
    if (file_exists(path)) {
        d = dataset_read(path, &w->shape, &label, why);
        if (!d) {
            damage = file_text("%s", *why);
            fprintf(stderr, "assay: %s\n", damage);
        }
    }
    if (!d)
        d = data_convert(w, path, why);
    if (d && damage)
        fprintf(stderr, "assay: %s: made again\n", path);
    free(damage);
    struct loaded *l = d ? malloc(sizeof *l) : NULL;
    if (d && !l)
        as_fail(AS_NO_MEMORY, "out of memory for data");
    if (!d) {
        free(path);
        return NULL;
    }
    *l = (struct loaded){ path, d, all };
    all = l;
    *why = NULL;
    return d;
}

/* ---- for the rest of the driver ------------------------------------------------------------------------------- */

static bool missing;

bool data_missing(void) { return missing; }

const struct as_stored *data_stored(struct as_config *cfg, const char **why)
{
    struct data_wanted w;
    const struct dataset *d = NULL;
    missing = false;
    *why = data_want(cfg, &w);
    if (*why)
        return NULL;
    if (w.source->convert)
        d = data_load(&w, why);
    missing = *why != NULL;
    data_want_free(&w);
    return d ? &d->stored : NULL;
}

const char *data_hash(struct as_config *cfg, char out[65])
{
    struct data_wanted w;
    const char *why = data_want(cfg, &w);
    if (why)
        return why;
    if (w.source->convert) {
        const struct dataset *d = data_load(&w, &why);
        if (d)
            memcpy(out, d->digest, sizeof d->digest);
    } else {
        char *text = file_text("%s\n%s\n%d\n%s", w.entry->path, w.entry->hash, w.source->version, w.options);
        fetch_sha256(text, strlen(text), out);
        free(text);
    }
    data_want_free(&w);
    return why;
}
