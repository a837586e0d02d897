/* bench_item.c: one line of the output: what it runs, its agreement with the oracle, and the table of items. */
#include "bench.h"
#include "file.h"

#include <assay/config.h>
#include <assay/error.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *bench_settings(struct bench_item *i, const char *text)
{
    size_t used = 0;

    while (used < sizeof i->text && i->text[used])
        used += strlen(i->text + used) + 1;
    for (size_t n; *(text += strspn(text, " ")); text += n) {
        n = strcspn(text, " ");
        if (n == 1 && *text == '-')
            continue;
        if (!memchr(text, '=', n) || *text == '=')
            return as_say("%.*s is no KEY=VALUE", (int)n, text);
        if (i->n_set == BENCH_SET || used + n + 2 > sizeof i->text)
            return as_say("more than %d settings for one layer", BENCH_SET);
        memcpy(i->text + used, text, n);
        i->n_set++;
        used += n + 1;
    }
    return NULL;
}

/* The settings are told apart in the item's own text, so that an item can be copied. */
static void point(struct bench_item *i)
{
    const char *at = i->text;

    for (int k = 0; k < i->n_set; k++, at += strlen(at) + 1)
        i->set[k] = at;
}

struct runner_ask bench_ask(const struct bench_item *i)
{
    bool step = i->mode == RUN_STEP;

    return (struct runner_ask){ .layer = i->layer, .set = i->set, .n_set = i->n_set, .heads = i->heads,
                                .impl = *i->impl_asked ? i->impl_asked : NULL, .core = strcmp(i->scope, "core") == 0,
                                .mode = i->mode, .batch = i->batch, .time = step ? 16 : i->time, .width = i->width,
                                .room = step ? i->position + 100000 : i->time, .seed = 1 };
}

/* --- opening ------------------------------------------------------------------------------------------------------ */

/* Runs so many that a repeat takes its share of the time. */
static void calibrate(struct bench_item *i, const struct bench_how *how)
{
    double share = how->seconds / how->repeats, one;

    bench_run(i, 1);
    one = fmin(bench_run(i, 1), bench_run(i, 1));
    i->runs = one > 0 && one < share ? (long)ceil(share / one) : 1;
    i->runs = i->runs > 1000000 ? 1000000 : i->runs;
    if (one < share / 4) {
        one = bench_run(i, i->runs) / (double)i->runs;
        i->runs = one < share ? (long)ceil(share / one) : 1;
    }
}

/* Bytes that have to move when everything is read and written once: forward reads inputs and weights and writes the
 * output; backward reads them and the output's gradient and writes their gradients. */
static void count(struct bench_item *i)
{
    const struct runner_facts *f = &i->facts;
    ptrdiff_t time = i->mode == RUN_STEP ? 1 : i->time;

    i->flop = runner_flop(i->runner, i->batch, time);
    i->useful = runner_useful(i->runner, i->batch, time);
    i->bytes = 4 * (f->in + f->out + f->weights);
    if (i->mode == RUN_TRAIN)
        i->bytes = 4 * (3 * f->in + 2 * f->out + 3 * f->weights);
    if (i->mode == RUN_STEP)
        i->bytes += 8 * f->state * (double)i->batch;
}

struct opening { struct bench_item *i; const struct bench_how *how; };

static void open_it(void *ctx)
{
    struct opening *o = ctx;
    struct bench_item *i = o->i;
    const char *why;

    point(i);
    if (strcmp(i->scope, "model") == 0) {
        i->model = bench_model_new(i);
    } else {
        struct runner_ask ask = bench_ask(i);
        struct runner_facts f;

        i->runner = runner_new(&ask);
        f = runner_describe(i->runner);
        ask.room = 0;
        why = i->agreed ? NULL : bench_agrees(&ask, ask.mode == RUN_STEP || strcmp(f.impl, "graph") == 0 ? ask.impl : f.impl);
        if (why)
            as_fail(AS_REFUSED, "%s; it is not timed", why);
        for (long s = 1; s < i->position; s++)
            runner_go(i->runner);
        i->facts = f;
        count(i);
        bench_formula(i);
    }
    calibrate(i, o->how);
    i->ms = calloc((size_t)o->how->repeats, sizeof *i->ms);
    i->copies = calloc((size_t)o->how->repeats, sizeof *i->copies);
    if (!i->ms || !i->copies)
        as_fail(AS_NO_MEMORY, "no memory for times");
}

const char *bench_open(struct bench_item *i, const struct bench_how *how)
{
    struct opening o = { i, how };

    if (as_try(open_it, &o) == AS_OK)
        return NULL;
    i->label[sizeof i->label - 1] = 0;
    const char *why = as_say("%s: %s", i->label, as_failure_text());
    bench_close(i);
    return why;
}

void bench_close(struct bench_item *i)
{
    runner_free(i->runner);
    bench_model_free(i->model);
    i->runner = NULL;
    i->model = NULL;
}

void bench_free(struct bench_item *i)
{
    bench_close(i);
    free(i->ms);
    free(i->copies);
    i->ms = i->copies = NULL;
}

double bench_run(struct bench_item *i, long runs)
{
    double start = bench_now();

    if (i->model)
        return bench_model_run(i->model, runs);
    for (long r = 0; r < runs; r++)
        runner_go(i->runner);
    return bench_now() - start;
}

/* --- the table ---------------------------------------------------------------------------------------------------- */

static bool shape_of(const char *text, struct bench_item *i)
{
    int end = 0;

    return sscanf(text, "%tdx%tdx%td%n", &i->batch, &i->time, &i->width, &end) == 3 && !text[end] && i->batch > 0 &&
           i->time > 0 && i->width > 0;
}

/* name, layer, scope, settings, shapes; what follows is for the peers. */
static const char *row(char *line, struct bench_item **items, int *n)
{
    char *field[5], *save = NULL, *at = line;

    for (int k = 0; k < 5; k++) {
        field[k] = at;
        at = strchr(at, '\t');
        if (!at && k < 4)
            return "five fields are needed: name, layer, scope, settings, shapes";
        if (at)
            *at++ = 0;
    }
    for (char *s = strtok_r(field[4], " ", &save); s; s = strtok_r(NULL, " ", &save)) {
        struct bench_item *more = realloc(*items, (size_t)(*n + 1) * sizeof *more), *i;
        const char *why;

        if (!more)
            return "no memory";
        *items = more;
        i = &more[*n];
        *i = (struct bench_item){ .heads = 4, .mode = RUN_TRAIN };
        snprintf(i->label, sizeof i->label, "%s", field[0]);
        snprintf(i->layer, sizeof i->layer, "%s", field[1]);
        snprintf(i->scope, sizeof i->scope, "%.7s", field[2]);
        if (strcmp(i->scope, "core") != 0 && strcmp(i->scope, "layer") != 0 && strcmp(i->scope, "model") != 0)
            return as_say("scope %s is none of core, layer and model", field[2]);
        if (!shape_of(s, i))
            return as_say("%s is no shape BxTxD", s);
        why = bench_settings(i, field[3]);
        if (why)
            return why;
        ++*n;
    }
    return NULL;
}

struct bench_item *bench_table(const char *path, int *n, const char **why)
{
    char *text = file_read(path, NULL, why), *save = NULL;
    struct bench_item *items = NULL;
    int number = 0;

    *n = 0;
    for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save)) {
        const char *bad;

        number++;
        if (*line == '#')
            continue;
        bad = row(line, &items, n);
        if (bad) {
            *why = as_say("%s: line %d (blank ones not counted): %s", path, number, bad);
            free(items);
            items = NULL;
            *n = 0;
            break;
        }
    }
    if (text && !items && !*n && !*why)
        *why = as_say("%s holds no layer", path);
    free(text);
    return items;
}
