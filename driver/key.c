/* key.c: see key.h. What is left out matters as much as what is in: titles, claims, figures, minutes, limits, jobs,
 * threads, evaluations and the driver's own source change no bit of the trained weights. */
#include "key.h"
#include "file.h"
#include "stages.h"

#include <assay/error.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <build_info.h>
#include <sha2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void key_sha256(const void *bytes, size_t n, char hex[65])
{
    SHA2_CTX c;
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256Init(&c);
    SHA256Update(&c, bytes, n);
    SHA256Final(digest, &c);
    for (int i = 0; i < SHA256_DIGEST_LENGTH; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

struct files { const struct as_entry **entry; int n; };

static void add(struct files *f, const struct as_entry *entry)
{
    for (int i = 0; i < f->n; i++)
        if (f->entry[i] == entry)
            return;
    const struct as_entry **longer = realloc(f->entry, ((size_t)f->n + 1) * sizeof *longer);
    if (!longer)
        as_fail(AS_NO_MEMORY, "no memory for the list of plug-ins");
    f->entry = longer;
    f->entry[f->n++] = entry;
}

static const char *text_of(const struct as_config *cfg, const char *key)
{
    for (size_t i = 0; i < cfg->n; i++)
        if (!strcmp(cfg->entry[i].key, key))
            return cfg->entry[i].text;
    return NULL;
}

/* Whether the last part of a key is the name of some layer's slot, or the model itself. "ffn.2" is a copy of ffn. */
static bool is_slot_key(const char *key)
{
    char word[64];
    const char *end = key + strlen(key), *last;
    while (end > key && strspn(end - 1, "0123456789.") > 0 && strchr("0123456789.", end[-1]))
        end--;
    for (last = end; last > key && last[-1] != '.'; last--)
        ;
    snprintf(word, sizeof word, "%.*s", (int)(end - last), last);
    if (!strcmp(word, "model"))
        return true;
    for (const struct as_entry *e = as_entries; e->path; e++)
        for (const struct as_slot *s = e->plugin->variant ? e->plugin->variant->slots : NULL; s && s->name; s++)
            if (!strcmp(s->name, word))
                return true;
    return false;
}

/* The file of the layer, and that of its implementation when a kernel file carries it. */
static void add_layer(struct files *f, const struct as_config *cfg, const char *key, const char *name)
{
    enum { MOST = 32 };
    struct as_choice choice[MOST];
    const struct as_entry *layer = as_registry_find("layer", name, NULL);
    const char *bare = stage_key(key, NULL, 0);
    if (!layer)
        return;
    add(f, layer);
    /* The model's own implementation stands at `impl`, of its stage if there are stages. */
    const char *impl = !strcmp(bare, "model") ? text_of(cfg, as_say("%.*simpl", (int)(bare - key), key))
                                              : text_of(cfg, as_say("%s.impl", key));
    int n = as_registry_impls(layer, choice, MOST);
    for (int i = 0; impl && i < n && i < MOST; i++)
        if (!strcmp(choice[i].impl->name, impl))
            add(f, choice[i].entry);
}

/* Every word of "ce + 0.01*ponder" that names a plug-in of that kind. */
static void add_words(struct files *f, const char *kind, const char *text)
{
    char *copy = file_text("%s", text);
    for (char *save, *w = strtok_r(copy, " +*|,()", &save); w; w = strtok_r(NULL, " +*|,()", &save)) {
        const struct as_entry *e = as_registry_find(kind, w, NULL);
        if (e)
            add(f, e);
    }
    free(copy);
}

static bool begins(const char *key, const char *section)
{
    size_t n = strlen(section);
    return !strncmp(key, section, n) && (key[n] == '\0' || key[n] == '.');
}

static int by_path(const void *a, const void *b)
{
    const struct as_entry *const *x = a, *const *y = b;
    return strcmp((*x)->path, (*y)->path);
}

int key_plugins(const struct as_config *cfg, const struct as_entry ***files)
{
    struct files f = { NULL, 0 };
    for (size_t i = 0; i < cfg->n; i++) {
        const char *whole = cfg->entry[i].key, *key = stage_key(whole, NULL, 0), *text = cfg->entry[i].text;
        if (!strcmp(key, "data.source") || !strcmp(key, "valid.data.source"))
            add_words(&f, "source", text);
        else if (begins(key, "rule"))
            add_words(&f, "rule", text);
        else if (begins(key, "objective"))
            add_words(&f, "objective", text);
        else if (!strcmp(key, "study"))
            add_words(&f, "study", text);
        else if (begins(key, "study")) {             /* its options may name what it trains with: study.rule = muon */
            add_words(&f, "rule", text);
            add_words(&f, "objective", text);
        }
        else if (!begins(key, "data") && !begins(key, "train") && !begins(key, "valid") && !begins(key, "test")
                 && is_slot_key(key))
            add_layer(&f, cfg, whole, text);
    }
    if (f.n)
        qsort(f.entry, (size_t)f.n, sizeof *f.entry, by_path);
    *files = f.entry;
    return f.n;
}

char *key_text(const struct as_config *cfg, const char *data_hash)
{
    const struct as_entry **file;
    struct as_config *trained = as_config_new();
    for (size_t i = 0; i < cfg->n; i++)
        if (!begins(cfg->entry[i].key, "test"))
            as_config_set(trained, cfg->entry[i].key, cfg->entry[i].text, false);
    char *config = as_config_text(trained);
    as_config_free(trained);
    int n = key_plugins(cfg, &file);
    char *text = file_text("assay cell, form 1\n%s[data] %s\n", config, data_hash);
    free(config);
    for (int i = 0; i < n; i++) {
        char *longer = file_text("%s[plug-in] %s %s%s%s\n", text, file[i]->path, file[i]->hash,
                                 *file[i]->kernel ? " at level " : "",
                                 *file[i]->kernel ? as_level_name((enum as_level)file[i]->level) : "");
        free(text);
        text = longer;
    }
    free(file);
    char *whole = file_text("%s[core] %s\n[compiler] %s\n[flags] %s\n[level] %s\n", text, ASSAY_CORE_HASH, ASSAY_CC,
                            ASSAY_CFLAGS, as_level_name(as_level()));
    free(text);
    return whole;
}
