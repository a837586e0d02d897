/* bench.c: `assay bench`: the command line. What is asked for becomes items; the other files do the work. */
#include "bench.h"
#include "file.h"
#include "supervise.h"

#include <assay/config.h>
#include <assay/error.h>
#include <assay/parallel.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifndef ASSAY_DATADIR
#define ASSAY_DATADIR "/usr/local/share/assay"
#endif

static const struct option_row { const char *name, *value, *help; } rows[] = {
    { "--batch", "B", "sequences at a time (8)" },
    { "--time", "T", "steps of a sequence (1024)" },
    { "--width", "D", "numbers a step (256)" },
    { "--heads", "H", "of layers that have heads (4)" },
    { "--mode", "train|forward|step", "train: forward and backward (the default); step: one step of a stream" },
    { "--scope", "core|layer", "core: the bare recurrence, its q, k, v, gates given; layer (the default): with projections" },
    { "--impl", "NAME", "this implementation instead of the first that can" },
    { "--set", "KEY=VALUE", "an option of the layer, \"core.chunk=64\"; may be repeated" },
    { "--threads", "N", "a team of so many (all processors allowed)" },
    { "--positions", "P,P...", "step: after so many steps (0)" },
    { "--scaling", NULL, "time and memory against length, with fitted exponents" },
    { "--from", "T", "scaling: the shortest (1024); each is twice the one before" },
    { "--to", "T", "scaling: the longest (65536)" },
    { "--model", NULL, "whole training steps of the model VARIANT; --set data.source=..., mixer=..., train.lr=..." },
    { "--table", "FILE", "the layers and shapes of a table (bench/table.tsv when no VARIANT is given)" },
    { "--repeats", "N", "samples an item (15)" },
    { "--min-time", "SECONDS", "least time of measuring an item (0.5)" },
    { "--seed", "N", "of the order in which items are run (1)" },
    { "--roofline", "FILE", "draws what was printed into FILE, instead of measuring; with -o FIGURE.svg" },
    { "-o", "FIGURE", "the figure: .svg, .png or .pdf" },
    { "--serve", NULL, "reads requests from standard input, for programs that alternate it with others" },
};
enum { N_ROWS = sizeof rows / sizeof *rows };

struct bench_line {
    struct bench_item shape;             /* what every item starts from */
    struct bench_how how;
    long position[8], from, to;
    int n_positions, n_layers;
    const char **layer, *table, *roofline, *out;
    bool scaling, model, serve;
};

/* --- reading ------------------------------------------------------------------------------------------------------ */

static const char *count(const char *name, const char *text, double least, double most, double *value)
{
    if (!as_parse_num(text, value) || *value < least || *value > most || *value != rint(*value))
        return as_say("%s %s is no whole number from %.0f to %.0f", name, text, least, most);
    return NULL;
}

static const char *positions(struct bench_line *l, const char *text)
{
    for (l->n_positions = 0; ; text++) {
        size_t n = strcspn(text, ",");
        const char *one = as_say("%.*s", (int)n, text), *why;
        double v;

        if (l->n_positions == 8)
            return "more than 8 positions";
        why = count("--positions", one, 0, 1e8, &v);
        if (why)
            return why;
        l->position[l->n_positions++] = (long)v;
        text += n;
        if (!*text)
            return NULL;
    }
}

static const char *word(const char *name, const char *text, const char *const *words, int *at)
{
    const char *near;

    for (*at = 0; words[*at]; ++*at)
        if (strcmp(words[*at], text) == 0)
            return NULL;
    near = as_nearest(text, words);
    return as_say("%s %s: it is %s, %s%s%s%s%s", name, text, words[0], words[1], words[2] ? " or " : "",
                  words[2] ? words[2] : "", near ? "; did you mean " : "", near ? near : "");
}

static const char *take_word(struct bench_line *l, const char *name, const char *value, bool *taken)
{
    static const char *const modes[] = { "train", "forward", "step", NULL }, *const scopes[] = { "core", "layer", NULL };
    const char *why = NULL;
    int at;

    *taken = true;
    if (!strcmp(name, "--mode")) {
        why = word(name, value, modes, &at);
        l->shape.mode = (enum runner_mode)at;
    } else if (!strcmp(name, "--scope")) {
        why = word(name, value, scopes, &at);
        if (!why)
            snprintf(l->shape.scope, sizeof l->shape.scope, "%s", scopes[at]);
    } else if (!strcmp(name, "--impl")) {
        if (strlen(value) >= sizeof l->shape.impl_asked)
            return as_say("--impl %s is too long for a name", value);
        snprintf(l->shape.impl_asked, sizeof l->shape.impl_asked, "%s", value);
    } else if (!strcmp(name, "--set"))
        why = strchr(value, ' ') ? as_say("--set %s: one KEY=VALUE at a time", value) : bench_settings(&l->shape, value);
    else if (!strcmp(name, "--table"))
        l->table = value;
    else if (!strcmp(name, "--roofline"))
        l->roofline = value;
    else if (!strcmp(name, "-o"))
        l->out = value;
    else if (!strcmp(name, "--positions"))
        why = positions(l, value);
    else
        *taken = false;
    return why;
}

static const char *take_value(struct bench_line *l, const char *name, const char *value)
{
    bool taken;
    double v = 0;
    const char *why = take_word(l, name, value, &taken);

    if (taken)
        return why;
    if (!strcmp(name, "--min-time")) {
        if (!as_parse_num(value, &l->how.seconds) || !(l->how.seconds >= 0) || l->how.seconds > 3600)
            return as_say("--min-time %s is no number of seconds from 0 to 3600", value);
        return NULL;
    }
    why = count(name, value, strcmp(name, "--seed") == 0 ? 0 : 1, strcmp(name, "--threads") == 0 ? 1024 : 1e8, &v);
    if (!strcmp(name, "--batch"))
        l->shape.batch = (ptrdiff_t)v;
    else if (!strcmp(name, "--time"))
        l->shape.time = (ptrdiff_t)v;
    else if (!strcmp(name, "--width"))
        l->shape.width = (ptrdiff_t)v;
    else if (!strcmp(name, "--heads"))
        l->shape.heads = (int)v;
    else if (!strcmp(name, "--threads"))
        l->how.threads = (int)v;
    else if (!strcmp(name, "--repeats"))
        l->how.repeats = (int)v;
    else if (!strcmp(name, "--seed"))
        l->how.seed = (uint64_t)v;
    else if (!strcmp(name, "--from"))
        l->from = (long)v;
    else
        l->to = (long)v;
    return why;
}

static const char *no_option(const char *text)
{
    const char *names[N_ROWS + 1], *near;

    for (int k = 0; k < N_ROWS; k++)
        names[k] = rows[k].name;
    names[N_ROWS] = NULL;
    near = as_nearest(text, names);
    return as_say("bench has no option %s%s%s%s", text, near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
}

static const char *take_argument(struct bench_line *l, int argc, char **argv, int *k)
{
    const char *text = argv[*k], *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    int at = 0;

    if (*text != '-') {
        l->layer[l->n_layers++] = text;
        return NULL;
    }
    while (at < N_ROWS && (strlen(rows[at].name) != n || strncmp(rows[at].name, text, n) != 0))
        at++;
    if (at == N_ROWS)
        return no_option(text);
    if (!rows[at].value) {
        if (equals)
            return as_say("%s takes no value", rows[at].name);
        l->scaling = l->scaling || !strcmp(text, "--scaling");
        l->model = l->model || !strcmp(text, "--model");
        l->serve = l->serve || !strcmp(text, "--serve");
        return NULL;
    }
    if (!equals && *k + 1 >= argc)
        return as_say("%s needs %s", rows[at].name, rows[at].value);
    return take_value(l, rows[at].name, equals ? equals + 1 : argv[++*k]);
}

static const char *contradiction(const struct bench_line *l)
{
    if (l->roofline && !l->out)
        return "--roofline needs -o FIGURE.svg";
    if (l->out && !l->roofline)
        return "-o belongs to --roofline";
    if (l->table && l->n_layers)
        return "give VARIANTs or --table, not both";
    if ((l->scaling || l->model) && !l->n_layers)
        return as_say("%s needs a VARIANT", l->scaling ? "--scaling" : "--model");
    if (l->scaling && l->from > l->to)
        return as_say("--from %ld is beyond --to %ld", l->from, l->to);
    if (l->n_positions && l->shape.mode != RUN_STEP)
        return "--positions belongs to --mode step";
    if (l->model && (l->scaling || l->shape.mode != RUN_TRAIN || *l->shape.impl_asked))
        return "--model times training steps; an implementation is chosen by --set mixer.core.impl=NAME";
    if (!l->n_layers && (l->shape.n_set || *l->shape.impl_asked))
        return "--set and --impl need a VARIANT; a table has its own settings";
    return NULL;
}

/* --- from the line to items --------------------------------------------------------------------------------------- */

static struct bench_item *items_of(const struct bench_line *l, int *n)
{
    int lengths = 1, positions = l->n_positions ? l->n_positions : 1;
    struct bench_item *items;

    for (long t = l->from; l->scaling && t * 2 <= l->to; t *= 2)
        lengths++;
    items = calloc((size_t)(l->n_layers * lengths * positions), sizeof *items);
    if (!items)
        as_fail(AS_NO_MEMORY, "no memory for a benchmark");
    *n = 0;
    for (int k = 0; k < l->n_layers; k++)
        for (int t = 0; t < lengths; t++)
            for (int p = 0; p < positions; p++) {
                struct bench_item *i = &items[(*n)++];

                *i = l->shape;
                snprintf(i->label, sizeof i->label, "%s", l->layer[k]);
                snprintf(i->layer, sizeof i->layer, "%s", l->layer[k]);
                i->time = l->scaling ? (ptrdiff_t)(l->from << t) : i->time;
                i->position = l->position[p];
                if (l->model)
                    snprintf(i->scope, sizeof i->scope, "model");
            }
    return items;
}

static struct bench_item *table_of(const struct bench_line *l, int *n, const char **why)
{
    const char *home = getenv("ASSAY_HOME");
    char *path = l->table ? file_text("%s", l->table)
                          : file_text("%s/bench/table.tsv", home && *home ? home : ASSAY_DATADIR);
    struct bench_item *items = bench_table(path, n, why);

    free(path);
    return items;
}

/* In a table a layer that cannot be had is named and left out; one that was asked for by name ends the run. */
static int run(const struct bench_line *l, struct bench_item *items, int n)
{
    double *peak = NULL;
    int opened = 0;

    for (int k = 0; k < n; k++) {
        const char *why = bench_open(&items[k], &l->how);

        opened += !why;
        if (why && l->n_layers)
            return complain(EXIT_WRONG_USE, why);
        if (why)
            printf("# skipped\t%s\n", why);
    }
    if (!opened)
        return complain(EXIT_WRONG_USE, "there is nothing left to time");
    bench_measure(items, n, &l->how, &peak);
    bench_print(stdout, items, n, &l->how, peak);
    if (l->scaling)
        bench_scaling_print(stdout, items, n);
    free(peak);
    bench_machine_free();
    return EXIT_ALL_WELL;
}

static int print_help(void)
{
    puts("assay bench [VARIANT...]\ntimes layers that have just agreed with their oracle; without a VARIANT: bench/table.tsv");
    for (int k = 0; k < N_ROWS; k++)
        printf("  %-11s %-18s  %s\n", rows[k].name, rows[k].value ? rows[k].value : "", rows[k].help);
    return EXIT_ALL_WELL;
}

static int start(struct bench_line *l)
{
    const char *why = as_level_refusal();
    struct bench_item *items;
    int n, status;

    if (why)
        return complain(EXIT_WRONG_USE, why);
    if (l->roofline)
        return bench_roofline(l->roofline, l->out);
    as_threads_set(l->how.threads);
    if (l->serve)
        return bench_serve(&l->how);
    items = l->n_layers ? items_of(l, &n) : table_of(l, &n, &why);
    if (!items)
        return complain(EXIT_CANNOT, why);
    status = run(l, items, n);
    for (int k = 0; k < n; k++)
        bench_free(&items[k]);
    free(items);
    return status;
}

int command_bench(struct command_line *line)
{
    struct bench_line l = { .shape = { .batch = 8, .time = 1024, .width = 256, .heads = 4, .scope = "layer" },
                            .how = { .threads = processors_allowed(), .repeats = 15, .seconds = 0.5, .seed = 1 },
                            .from = 1024, .to = 65536 };
    const char *why = NULL;
    int status;

    for (int k = 0; k < line->n_raw; k++)
        if (!strcmp(line->raw[k], "--help"))
            return print_help();
    l.layer = calloc((size_t)line->n_raw + 1, sizeof *l.layer);
    if (!l.layer)
        as_fail(AS_NO_MEMORY, "no memory");
    for (int k = 0; k < line->n_raw && !why; k++)
        why = take_argument(&l, line->n_raw, line->raw, &k);
    why = why ? why : contradiction(&l);
    status = why ? complain(EXIT_WRONG_USE, why) : start(&l);
    free(l.layer);
    return status;
}
