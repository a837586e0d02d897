/* The claim language, from text to verdict, over made-up results: axes mixer (3 values) and long.length (4), 12 seeds.
 * Input: up to four lines: that, given, source, alpha.
 * Covers: driver/claim_parse.c driver/claim_part.c driver/claim_find.c driver/claim_given.c driver/claim_relation.c driver/claim_series.c driver/claim_interval.c driver/claim_pool.c driver/claim_source.c
 */
#include "fuzz.h"

#include <driver/claim.h>
#include <math.h>

enum { SEEDS = 12 };
static const char *const mixers[] = { "gru", "lstm", "rnn" }, *const lengths[] = { "40", "80", "160", "256" };
static const struct claim_axis axes[] = { { "mixer", mixers, 3 }, { "long.length", lengths, 4 } };

static int metric(void *ctx, const char *name, struct claim_metric *out, const char **nearest)
{
    const char *dot = strchr(name, '.'), *base = dot ? dot + 1 : name;
    (void)ctx;
    *out = (struct claim_metric){ CLAIM_RAW, -1, (double)NAN, 100, 0, 1, 0, 0 };
    *nearest = "accuracy";
    if (!strcmp(base, "accuracy"))
        *out = (struct claim_metric){ CLAIM_LOGIT, 1, 0.5, 0.5, 2000, 1, 0, 0 };
    else if (!strcmp(base, "error"))
        out->scale = CLAIM_LOG;
    else if (!strcmp(base, "seconds"))
        out->cost = 1;
    else if (!strcmp(base, "parameters"))
        out->seedless = 1;
    else if (strcmp(base, "nll"))
        return -1;
    return 0;
}

static int value_place(const struct claim_axis *a, const char *value)
{
    for (size_t i = 0; i < a->n_values; i++)
        if (!strcmp(a->values[i], value))
            return (int)i;
    return -1;
}

static int axes_of(void *ctx, const char *name, const struct claim_key *key, size_t n, struct claim_axes *out)
{
    static struct claim_axis open[2];
    bool has[2] = { true, !strncmp(name, "long.", 5) };
    (void)ctx;
    *out = (struct claim_axes){ .axis = open };
    for (size_t k = 0; k < n; k++) {
        size_t a = 0;
        while (a < 2 && (!has[a] || strcmp(axes[a].key, key[k].key)))
            a++;
        out->bad = k;
        if (a == 2)
            return CLAIM_UNKNOWN_KEY;
        if (value_place(&axes[a], key[k].value) < 0)
            return CLAIM_UNKNOWN_VALUE;
        has[a] = false;
    }
    for (size_t a = 0; a < 2; a++)
        if (has[a])
            open[out->n++] = axes[a];
    return CLAIM_AXES_OK;
}

/* Values in (0, 1) that differ by arm, length and seed. */
static double value_at(const struct claim_key *key, size_t n, int seed)
{
    double v = 0.55 + 0.01 * (seed * 7 % 10);
    for (size_t k = 0; k < n; k++)
        for (int a = 0; a < 2; a++)
            if (!strcmp(axes[a].key, key[k].key))
                v += (a ? -0.03 : 0.1) * value_place(&axes[a], key[k].value);
    return v;
}

static int samples(void *ctx, const char *name, const struct claim_key *key, size_t n, const struct claim_sample **out,
                   size_t *n_out)
{
    static struct claim_sample sample[SEEDS];
    (void)ctx;
    for (int s = 0; s < SEEDS; s++)
        sample[s] = (struct claim_sample){ s, value_at(key, n, s), CLAIM_OK, strstr(name, "accuracy") ? 2000 : 0 };
    *out = sample;
    *n_out = SEEDS;
    return 0;
}

static int steps_to(void *ctx, const char *name, const struct claim_key *key, size_t n, int below, double x,
                    const struct claim_steps **out, size_t *n_out)
{
    static struct claim_steps step[SEEDS];
    (void)ctx;
    (void)name;
    for (int s = 0; s < SEEDS; s++)
        step[s] = (struct claim_steps){ s, 1000 * value_at(key, n, s), below ? s % 3 > 0 : x < 0.9, CLAIM_OK };
    *out = step;
    *n_out = SEEDS;
    return 0;
}

static int identity(void *ctx, const char *name, const struct claim_key *key, size_t n, double *error, long *cases,
                    const char **nearest)
{
    (void)ctx;
    (void)key;
    (void)n;
    *nearest = "chunk-equals-step";
    if (error)
        *error = 1e-7;
    if (cases)
        *cases = 12;
    return strcmp(name, *nearest) ? -1 : 0;
}

static int visit(void *arg, const char *name, const struct claim_key *key, size_t n)
{
    int *points = arg;
    fuzz_promise(name && (n == 0 || key));
    return ++*points > 1000;
}

static void answer(const struct claim *claim)
{
    struct claim_source source = { NULL, metric, axes_of, samples, steps_to, identity, NULL };
    struct claim_error err = { 0 };
    struct claim_options options = { 0 };
    struct claim_result result;
    char text[200];
    int points = 0, fits = claim_check(claim, &source, &err) == 0;
    fuzz_promise(claim_name(claim) && claim_source_text(claim));
    fuzz_promise(fits || (*err.text && strlen(err.text) < sizeof err.text));
    if (!fits) {
        fuzz_promise(claim_evaluate(&claim, 1, &source, &options, &result, &err) != 0);
        return;
    }
    fuzz_promise(claim_points(claim, &source, visit, &points, &err) >= 0);
    fuzz_promise(claim_is_statistical(claim, &source, &err) >= 0);
    if (claim_power(claim, &source, &options, SEEDS, text, sizeof text, &err) == 0)
        fuzz_promise(strlen(text) < sizeof text);
    if (claim_evaluate(&claim, 1, &source, &options, &result, &err))
        return;
    fuzz_promise(claim_verdict_text(result.verdict) && strlen(result.text) < sizeof result.text);
    fuzz_promise(!(result.low > result.high));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line[4];
    for (int i = 0; i < 4; i++)
        line[i] = fuzz_take(&data, &size, '\n');
    struct claim_text text = { "c", line[0], *line[1] ? line[1] : NULL, *line[2] ? line[2] : "proposal",
                               *line[3] ? line[3] : NULL };
    struct claim_error err = { 0 };
    struct claim *claim = claim_parse(&text, &err);
    if (claim)
        answer(claim);
    else
        fuzz_promise(*err.text && err.column >= 0);
    claim_free(claim);
    for (int i = 0; i < 4; i++)
        free(line[i]);
    return 0;
}
