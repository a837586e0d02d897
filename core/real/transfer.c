/* transfer.c: weights of one model for another, by name and shape; and lists of names, as experiments write them. */
#include "layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The next word of "head, block0.norm"; *n is its length, 0 at the end. */
static const char *next_word(const char *list, size_t *n)
{
    list += strspn(list, ", ");
    *n = strcspn(list, ", ");
    return list;
}

bool model_named(const char *list, const char *name)
{
    size_t n;

    for (const char *w = next_word(list, &n); n > 0; w = next_word(w + n, &n))
        if (strncmp(w, name, n) == 0)
            return true;
    return false;
}

static const struct weight_slot *first_named(const struct as_model *m, const char *list)
{
    for (int i = 0; i < m->n_layers; i++)
        for (int j = 0; j < m->layer[i]->n_weights; j++)
            if (m->layer[i]->weight[j].used && model_named(list, m->layer[i]->weight[j].name))
                return &m->layer[i]->weight[j];
    return NULL;
}

/* The weight's name that is nearest to what was written; borrowed from the model, or NULL. */
static const char *nearest_name(const struct as_model *m, const char *word)
{
    size_t n = 0;
    const char **names, *nearest;

    for (int i = 0; i < m->n_layers; i++)
        n += (size_t)m->layer[i]->n_weights;
    names = malloc((n + 1) * sizeof *names);
    if (!names)
        as_fail(AS_NO_MEMORY, "out of memory for the names of the weights");
    n = 0;
    for (int i = 0; i < m->n_layers; i++)
        for (int j = 0; j < m->layer[i]->n_weights; j++)
            if (m->layer[i]->weight[j].used)
                names[n++] = m->layer[i]->weight[j].name;
    names[n] = NULL;
    nearest = as_nearest(word, names);
    if (!nearest && n)
        nearest = names[n - 1];
    free(names);
    return nearest;
}

const char *model_names_refusal(const struct as_model *m, const char *list)
{
    char word[AS_PATH];
    size_t n;

    for (const char *w = next_word(list, &n); n > 0; w = next_word(w + n, &n)) {
        const char *nearest;

        snprintf(word, sizeof word, "%.*s", (int)n, w);
        if (first_named(m, word))
            continue;
        nearest = nearest_name(m, word);
        return as_say("no weight's name begins with %s%s%s", word, nearest ? "; one is called " : "",
                      nearest ? nearest : "");
    }
    return NULL;
}

enum { SHAPE = 160 };

static const char *shape_text(char text[SHAPE], int rank, const ptrdiff_t *dim)
{
    int used = snprintf(text, SHAPE, "(");

    for (int i = 0; i < rank; i++)
        used += snprintf(text + used, (size_t)(SHAPE - used), "%s%td", i ? ", " : "", dim[i]);
    snprintf(text + used, (size_t)(SHAPE - used), ")");
    return text;
}

static const char *take(const struct weight_slot *w, const struct as_model *from)
{
    struct as_named_weight other = as_model_weight(from, w->name);
    char here[SHAPE], there[SHAPE];

    if (!other.w)
        return as_say("the weight %s has no forerunner; fresh = %s draws it anew", w->name, w->name);
    if (other.rank != w->node.rank ||
        memcmp(other.dim, w->node.dim, (size_t)other.rank * sizeof *other.dim) != 0)
        return as_say("the weight %s is %s and was %s before; keep its shape, or draw it anew with fresh = %s", w->name,
                      shape_text(here, w->node.rank, w->node.dim), shape_text(there, other.rank, other.dim), w->name);
    memcpy(w->node.x, other.w, (size_t)as_node_size(&w->node) * sizeof(real));
    return NULL;
}

const char *as_model_adopt(struct as_model *m, const struct as_model *from, const char *fresh)
{
    const char *why = fresh ? model_names_refusal(m, fresh) : NULL;

    if (why)
        return as_say("fresh = %s: %s", fresh, why);
    for (int i = 0; i < m->n_layers; i++)
        for (int j = 0; j < m->layer[i]->n_weights; j++) {
            const struct weight_slot *w = &m->layer[i]->weight[j];

            if (!w->used || (fresh && model_named(fresh, w->name)))
                continue;
            why = take(w, from);
            if (why)
                return why;
        }
    return NULL;
}
