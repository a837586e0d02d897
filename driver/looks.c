#include <driver/looks.h>

#include <assay/error.h>
#include <driver/file.h>
#include <driver/key.h>
#include <driver/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char head[] = "claims\tseeds\tlook\talpha\n";
static const double share[] = { 1, 0.2, 0.3, 0.5 };
enum { LOOKS = 3, HASH = 16 };

static double alpha_of(const struct results *r, int look)
{
    return (r->e->alpha > 0 ? r->e->alpha : 0.05) * share[look];
}

static char *path_of(const struct results *r) { return file_text("%s/looks.tsv", r->folder); }

/* ---- what is looked at --------------------------------------------------------------------------------------- */

/* What is claimed; neither names nor alpha, which nobody should change to look again. */
static void hash_claims(const struct experiment *e, char hex[65])
{
    char *text = file_text("%s", "");
    for (int i = 0; i < e->n_claims; i++) {
        const char *given = e->claim[i].given;
        char *longer = file_text("%s%s\n%s\n", text, e->claim[i].that, given ? given : "");
        free(text);
        text = longer;
    }
    key_sha256(text, strlen(text), hex);
    free(text);
    hex[HASH] = 0;
}

static int by_size(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

/* One text for one set, in whatever order it was written; malloc'd. */
static char *seeds_of(const long *seed, int n)
{
    long *sorted = malloc((size_t)(n + 1) * sizeof *sorted);
    if (!sorted) as_fail(AS_NO_MEMORY, "no memory for seeds");
    memcpy(sorted, seed, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_size);
    char *text = file_text("%s", text_ranges(sorted, n));
    free(sorted);
    return text;
}

/* ---- the table ----------------------------------------------------------------------------------------------- */

struct row { const char *claims, *seeds; int look; };

/* Cuts a line into its columns; false when it is none of ours. */
static bool take_row(char *line, struct row *row)
{
    char *column[4] = { line };
    int n = 1;
    for (char *s = line; *s; s++) {
        if (*s != '\t') continue;
        *s = 0;
        if (n == 4) return false;
        column[n++] = s + 1;
    }
    if (n != 4 || strlen(column[0]) != HASH || !*column[1] || strlen(column[2]) != 1 || column[2][0] < '0' ||
        column[2][0] > '0' + LOOKS)
        return false;
    *row = (struct row){ column[0], column[1], column[2][0] - '0' };
    return true;
}

static void note_earlier(struct look *l, const char *seeds)
{
    size_t n = strlen(l->earlier);
    snprintf(l->earlier + n, sizeof l->earlier - n, "%s%s", n ? "; " : "", seeds);
}

/* Goes through the table, which it cuts up. */
static const char *read_table(char *text, const char *path, const char *claims, const char *seeds, struct look *l,
                              int *shown, bool *whole)
{
    int number = 1;
    for (char *line = text, *next; *line; line = next, number++) {
        struct row row;
        next = line + strcspn(line, "\n");
        bool ended = *next == '\n';
        if (ended) *next++ = 0;
        if (number == 1 && ended && !strncmp(line, head, sizeof head - 2)) continue;
        if (!ended || number == 1 || !take_row(line, &row))
            return as_say("%s:%d: damaged; it says how alpha was spent, so no verdict is shown: restore it", path,
                          number);
        if (strcmp(row.claims, claims) != 0) continue;
        ++*shown;
        *whole = *whole || row.look == 0;
        if (strcmp(row.seeds, seeds) != 0) {
            note_earlier(l, row.seeds);
            continue;
        }
        l->kept = true;
        l->number = row.look;
    }
    return NULL;
}

bool looks_find(const struct results *r, struct look *l, const char **why)
{
    const struct experiment *e = r->e;
    char claims[65], *path = path_of(r), *seeds = seeds_of(e->seed, e->n_seeds);
    char *own = seeds_of(e->own_seed, e->n_own_seeds);
    int shown = 0;
    bool whole = false;
    *l = (struct look){ 0 };
    *why = NULL;
    if (!e->altered) {
        hash_claims(e, claims);
        char *text = file_exists(path) ? file_read(path, NULL, why) : NULL;
        if (text) *why = read_table(text, path, claims, seeds, l, &shown, &whole);
        free(text);
        if (!l->kept) {
            l->spent = whole || shown >= LOOKS;
            l->number = l->spent ? LOOKS : shown || e->looks > 1 || strcmp(own, seeds) != 0 ? shown + 1 : 0;
        }
    }
    free(own);
    free(seeds);
    free(path);
    return !*why;
}

const char *looks_keep(const struct results *r, const struct look *l)
{
    if (l->kept || l->spent || r->e->altered) return NULL;
    const char *why = NULL;
    char claims[65], *path = path_of(r), *seeds = seeds_of(r->e->seed, r->e->n_seeds);
    char *old = file_exists(path) ? file_read(path, NULL, &why) : NULL;
    hash_claims(r->e, claims);
    if (!why) {
        char *text = file_text("%s%s\t%s\t%d\t%s\n", old && *old ? old : head, claims, seeds, l->number,
                               as_say("%g", alpha_of(r, l->number)));
        why = file_replace(path, text, strlen(text));
        free(text);
    }
    free(old);
    free(seeds);
    free(path);
    return why;
}

const char *looks_text(const struct results *r, const struct look *l)
{
    if (l->spent)
        return as_say("undecided (looks): alpha %s was spent on seeds %s; more looks are planned beforehand (looks = 3 "
                      "in [experiment]), or asked of other seeds in an experiment of its own",
                      as_say("%g", alpha_of(r, 0)), l->earlier);
    if (l->number == 0) return NULL;
    return as_say("look %d of %d: alpha %s%s%s%s", l->number, (int)LOOKS, as_say("%g", alpha_of(r, l->number)),
                  *l->earlier ? " (shown before: seeds " : "", l->earlier, *l->earlier ? ")" : "");
}
