/* Made-up results for the tests of the claim language. */
#ifndef ASSAY_TESTS_CLAIM_FAKE_H
#define ASSAY_TESTS_CLAIM_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../driver/claim.h"
#include "../driver/stats.h"

/* ---- made-up results --------------------------------------------------------------------------------------------- */

/* Axes: mixer (gru, lstm, rnn) for all; long.length for metrics of the evaluation `long`, width for `wide`; depth has
 * one value only. */
enum { ARMS = 3, PLACES = 4, SEEDS = 40 };

struct fake {
    int n[ARMS];                             /* seeds of an arm */
    double value[ARMS][PLACES][SEEDS];       /* for steps_to: the step, or minus the last step when not reached */
    int outcome[ARMS][PLACES][SEEDS];
    long examples;
    int paired;
    double identity;
    struct claim_axis axis[3];
    struct claim_sample sample[SEEDS];
    struct claim_steps steps[SEEDS];
};

static const char *const mixers[] = {"gru", "lstm", "rnn"};
static const char *const lengths[] = {"40", "80", "160", "256"};
static const char *const widths[] = {"1", "2", "4", "8"};
static const char *const depths[] = {"1"};

static int fake_metric(void *ctx, const char *name, struct claim_metric *out, const char **nearest)
{
    struct fake *fake = ctx;
    const char *dot = strchr(name, '.');
    const char *base = dot != NULL ? dot + 1 : name;
    *out = (struct claim_metric){CLAIM_RAW, -1, STATS_NAN, 100.0, 0, fake->paired, 0, 0};
    if (strcmp(base, "accuracy") == 0)
        *out = (struct claim_metric){CLAIM_LOGIT, 1, 0.5, 0.5, fake->examples, fake->paired, 0, 0};
    else if (strcmp(base, "error") == 0)
        out->scale = CLAIM_LOG;
    else if (strcmp(base, "nll") == 0)
        out->chance = 50.0;
    else if (strcmp(base, "fragile") == 0)
        out->worst = STATS_NAN;
    else if (strcmp(base, "seconds") == 0)
        out->cost = 1;
    else if (strcmp(base, "parameters") == 0)
        out->seedless = 1;
    else {
        *nearest = strcmp(name, "acuracy") == 0 ? "accuracy" : NULL;
        return -1;
    }
    return 0;
}

static int find(const char *const *list, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], what) == 0)
            return (int)i;
    return -1;
}

static int fake_axes(void *ctx, const char *name, const struct claim_key *key, size_t n, struct claim_axes *out)
{
    struct fake *fake = ctx;
    struct claim_axis all[] = {{"mixer", mixers, 3}, {"long.length", lengths, 4}, {"width", widths, 4},
                               {"depth", depths, 1}};
    int has[] = {1, strncmp(name, "long.", 5) == 0, strncmp(name, "wide.", 5) == 0, 1};
    for (size_t k = 0; k < n; k++) {
        size_t a = 0;
        while (a < 4 && (!has[a] || strcmp(all[a].key, key[k].key) != 0))
            a++;
        out->bad = k;
        out->nearest = strcmp(key[k].key, "mixr") == 0 ? "mixer" : NULL;
        if (a == 4)
            return CLAIM_UNKNOWN_KEY;
        if (find(all[a].values, all[a].n_values, key[k].value) < 0)
            return CLAIM_UNKNOWN_VALUE;
        has[a] = 0;
    }
    out->n = 0;
    for (size_t a = 0; a < 4; a++)
        if (has[a])
            fake->axis[out->n++] = all[a];
    out->axis = fake->axis;
    return CLAIM_AXES_OK;
}

static void place(const struct claim_key *key, size_t n, int *arm, int *where)
{
    *arm = *where = 0;
    for (size_t k = 0; k < n; k++) {
        if (strcmp(key[k].key, "mixer") == 0)
            *arm = find(mixers, 3, key[k].value);
        else if (strcmp(key[k].key, "long.length") == 0)
            *where = find(lengths, 4, key[k].value);
        else if (strcmp(key[k].key, "width") == 0)
            *where = find(widths, 4, key[k].value);
    }
}

static int fake_samples(void *ctx, const char *name, const struct claim_key *key, size_t n,
                        const struct claim_sample **out, size_t *n_out)
{
    struct fake *fake = ctx;
    int arm, where;
    place(key, n, &arm, &where);
    int proportion = strstr(name, "accuracy") != NULL;
    for (int s = 0; s < fake->n[arm]; s++)           /* backwards: no order is promised */
        fake->sample[s] = (struct claim_sample){fake->n[arm] - 1 - s, fake->value[arm][where][fake->n[arm] - 1 - s],
                                                fake->outcome[arm][where][fake->n[arm] - 1 - s],
                                                proportion ? fake->examples : 0};
    *out = fake->sample;
    *n_out = (size_t)fake->n[arm];
    return 0;
}

static int fake_steps(void *ctx, const char *name, const struct claim_key *key, size_t n, int below, double x,
                      const struct claim_steps **out, size_t *n_out)
{
    struct fake *fake = ctx;
    int arm, where;
    (void)name;
    (void)below;
    (void)x;
    place(key, n, &arm, &where);
    for (int s = 0; s < fake->n[arm]; s++) {
        double v = fake->value[arm][where][s];
        fake->steps[s] = (struct claim_steps){s, fabs(v), v > 0.0, fake->outcome[arm][where][s]};
    }
    *out = fake->steps;
    *n_out = (size_t)fake->n[arm];
    return 0;
}

static int fake_identity(void *ctx, const char *name, const struct claim_key *key, size_t n, double *error,
                         long *cases, const char **nearest)
{
    struct fake *fake = ctx;
    (void)key;
    (void)n;
    *nearest = "chunk-equals-step";
    if (strcmp(name, "chunk-equals-step") != 0)
        return -1;
    if (error != NULL)
        *error = fake->identity;
    if (cases != NULL)
        *cases = 12;
    return fake->identity < 0.0;
}

static struct claim_source source_of(struct fake *fake)
{
    return (struct claim_source){fake, fake_metric, fake_axes, fake_samples, fake_steps, fake_identity, NULL};
}

/* A small spread about `level` at every seed; arms differ in it, so that pairing has something to do. */
static void fill(struct fake *fake, int arm, int n, double level, double spread)
{
    fake->n[arm] = n;
    for (int w = 0; w < PLACES; w++)
        for (int s = 0; s < n; s++) {
            fake->value[arm][w][s] = level + spread * ((s * 7 + arm * 3) % 10 - 4.5) / 4.5;
            fake->outcome[arm][w][s] = CLAIM_OK;
        }
}

static void fill_all(struct fake *fake, int n, double level, double spread)
{
    memset(fake, 0, sizeof *fake);
    fake->examples = 2000;
    fake->paired = 1;
    for (int a = 0; a < ARMS; a++)
        fill(fake, a, n, level, spread);
}

/* ---- help -------------------------------------------------------------------------------------------------------- */

static struct claim *parse(const char *that, const char *given, const char *source)
{
    struct claim_error err;
    struct claim_text text = {"c", that, given, source, NULL};
    struct claim *claim = claim_parse(&text, &err);
    if (claim == NULL)
        fail_msg("%s: column %d: %s", that, err.column, err.text);
    return claim;
}

#endif
