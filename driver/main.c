/* main.c: the command line of the program. */
#include "commands.h"
#include "experiment.h"

#include <assay/error.h>
#include <assay/registry.h>
#include <build_info.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- what there is ------------------------------------------------------------------------------------------- */

enum { QUICK = 1, SET = 2, RESULTS = 4, RUNNING = 8, JSON = 16, VERIFY = 32, FORMAT = 64, ALL = 128, CHECKING = 256, UNCHECKED = 512, COVERAGE = 1024, OWN = 1 << 19, MANY = 1 << 20 };   /* OWN: reads its own options */

static const struct subcommand {
    const char *name, *usage, *help;
    int (*run)(struct command_line *line);
    unsigned options;
    int least, most;              /* words */
} table[] = {
    { "list", "[KIND]", "what there is: layers, rules, objectives, sources, studies, metrics, experiments",
      command_list, JSON, 0, 1 },
    { "describe", "THING", "a layer, rule, source, experiment or metric in full", command_describe, 0, 1, 1 },
    { "check", "[FILE|NAME|FAMILY...]", "tests plug-ins against everything that must hold for them", command_check,
      JSON | CHECKING, 0, MANY },
    { "plan", "NAME", "what an experiment would run: arms, seeds, cells, budgets; runs nothing", command_plan,
      QUICK | SET | RESULTS | JSON, 1, 1 },
    { "run", "[NAME [KEY...]]", "trains what is missing, answers the claims, draws the figures", command_run,
      QUICK | SET | RESULTS | RUNNING | JSON | VERIFY | ALL | UNCHECKED, 0, MANY },
    { "figures", "NAME", "draws the figures again from stored results", command_figures, QUICK | SET | RESULTS, 1, 1 },
    { "report", "", "a web page an experiment, a row a paper", command_report, RESULTS, 0, 0 },
    { "verify", "NAME [KEY...]", "runs finished cells again and compares every exact number", command_verify,
      QUICK | SET | RESULTS | RUNNING | JSON, 1, MANY },
    { "accept", "NAME", "writes the verdicts into the ledger", command_accept, RESULTS, 1, 1 },
    { "bench", "[VARIANT...]", "times layers against the machine's peak; `assay bench --help`", command_bench, OWN, 0, MANY },
    { "data", "[NAME]", "fetches, checks and converts the data of a source or an experiment", command_data,
      SET, 0, 1 },
    { "papers", "", "the catalogue: what implements each paper, experiments about it, accepted verdicts", command_papers,
      RESULTS | JSON | COVERAGE, 0, 0 },
    { "export", "NAME", "results as a table: --csv, --md or --tex", command_export, QUICK | SET | RESULTS | FORMAT, 1,
      1 },
    { "cell", NULL, NULL, command_cell, 0, 0, 0 },       /* internal: `run` starts it */
};
enum { N_COMMANDS = sizeof table / sizeof table[0] };

static const struct option_row { const char *name, *value, *help; unsigned group; } options[] = {
    { "--quick", NULL, "the small form, as [quick] of the experiment says", QUICK },
    { "--set", "KEY=VALUE", "changes a key of the experiment; may be repeated", SET },
    { "--seeds", "A..B", "these seeds instead", SET },
    { "--results", "DIR", "where results are kept ($ASSAY_RESULTS, else ./results)", RESULTS },
    { "--jobs", "N", "cells at a time", RUNNING },
    { "--threads", "N", "threads per cell", RUNNING },
    { "--limit-time", "SECONDS", "wall clock of one cell", RUNNING },
    { "--limit-memory", "MIB", "memory of one cell", RUNNING },
    { "--verify", NULL, "runs finished cells again and compares", VERIFY },
    { "--all", NULL, "every metric in the table, not only what claims and figures read", ALL },
    { "--only", "CHECK", "this check alone", CHECKING },
    { "--list", NULL, "the checks: what each proves, and what it does not", CHECKING },
    { "--elements", NULL, "gradients element by element", CHECKING },
    { "--seed", "N", "other draws", CHECKING },
    { "--verbose", NULL, "what passed, too, with the largest errors and the time of each check", CHECKING },
    { "--unchecked", NULL, "runs although a plug-in fails `assay check`; every table and figure says so", UNCHECKED },
    { "--coverage", NULL, "counts by family alone: rows, with a mechanism, with an experiment, answered", COVERAGE },
    { "--json", NULL, "for machines", JSON },
    { "--csv", NULL, "comma-separated", FORMAT },
    { "--md", NULL, "Markdown", FORMAT },
    { "--tex", NULL, "LaTeX", FORMAT },
};
enum { N_OPTIONS = sizeof options / sizeof options[0] };

static int print_help(void)
{
    puts("assay COMMAND [OPTIONS]: tests what papers claim about neural architectures\n");
    for (int i = 0; i < N_COMMANDS; i++)
        if (table[i].help)
            printf("  %-9s %-15s %s\n", table[i].name, table[i].usage, table[i].help);
    puts("");
    for (int i = 0; i < N_OPTIONS; i++)
        printf("  %-14s %-9s  %s\n", options[i].name, options[i].value ? options[i].value : "", options[i].help);
    puts("\n`assay COMMAND --help` says which options a command takes. Manual: man assay");
    return EXIT_ALL_WELL;
}

static int print_command_help(const struct subcommand *c)
{
    printf("assay %s %s\n%s\n", c->name, c->usage ? c->usage : "JOB", c->help ? c->help : "internal");
    for (int i = 0; i < N_OPTIONS; i++)
        if (options[i].group & c->options)
            printf("  %-14s %-9s  %s\n", options[i].name, options[i].value ? options[i].value : "", options[i].help);
    return EXIT_ALL_WELL;
}

static int print_version(void)
{
    printf("assay %s\ncompiler  %s\nflags     %s\n", PACKAGE_VERSION, ASSAY_CC, ASSAY_CFLAGS);
    printf("levels    %s\nlibraries %s\n", ASSAY_LEVELS, ASSAY_LIBRARIES);
    return EXIT_ALL_WELL;
}

/* --- reading the command line -------------------------------------------------------------------------------- */

static const char *unknown_option(const struct subcommand *c, const char *text)
{
    const char *names[N_OPTIONS + 2], *nearest;
    int n = 0;
    for (int i = 0; i < N_OPTIONS; i++)
        if (options[i].group & c->options)
            names[n++] = options[i].name;
    names[n++] = "--help";
    names[n] = NULL;
    nearest = as_nearest(text, names);
    return as_say("%s has no option %s%s%s%s", c->name, text, nearest ? ": did you mean " : "", nearest ? nearest : "",
                  nearest ? "?" : "");
}

static const char *take_number(const char *name, const char *text, double least, double *value)
{
    if (!as_parse_num(text, value) || *value < least || *value > 1e9)
        return as_say("%s %s is out of range: %.0f to 1000000000", name, text, least);
    return NULL;
}

static const char *take_count(const char *name, const char *text, double *v)
{
    const char *why = take_number(name, text, 1, v);
    return !why && *v != rint(*v) ? as_say("%s %s is no whole number", name, text) : why;
}

/* In a buffer of its own, for as many as live until the program ends. */
static const char *take_seeds(struct command_line *line, const char *value)
{
    static char seeds[256];
    if (*seeds)
        return "--seeds stands there twice; write --seeds 0..3,7 for several ranges";
    int n = snprintf(seeds, sizeof seeds, "seeds=%s", value);
    line->set[line->n_set++] = seeds;
    return n < 0 || (size_t)n >= sizeof seeds ? "--seeds is too long" : NULL;
}

static const char *take_value(struct command_line *line, const char *name, const char *value)
{
    double v = 0;
    const char *why = NULL;
    if (!strcmp(name, "--set"))
        line->set[line->n_set++] = value;
    else if (!strcmp(name, "--seeds"))
        why = take_seeds(line, value);
    else if (!strcmp(name, "--results"))
        line->results = value;
    else if (!strcmp(name, "--only"))
        line->only = value;
    else if (!strcmp(name, "--limit-time"))
        why = take_number(name, value, 1, &line->limit_time);
    else
        why = take_count(name, value, &v);
    line->seed = !strcmp(name, "--seed") ? (long)v : line->seed;
    line->jobs = !strcmp(name, "--jobs") ? (int)v : line->jobs;
    line->threads = !strcmp(name, "--threads") ? (int)v : line->threads;
    line->limit_memory = !strcmp(name, "--limit-memory") ? (long)v : line->limit_memory;
    return why;
}

static void take_flag(struct command_line *line, const char *name)
{
    line->quick = line->quick || !strcmp(name, "--quick");
    line->all = line->all || !strcmp(name, "--all");
    line->list = line->list || !strcmp(name, "--list");
    line->elements = line->elements || !strcmp(name, "--elements");
    line->verbose = line->verbose || !strcmp(name, "--verbose");
    line->unchecked = line->unchecked || !strcmp(name, "--unchecked");
    line->coverage = line->coverage || !strcmp(name, "--coverage");
    line->json = line->json || !strcmp(name, "--json");
    line->verify = line->verify || !strcmp(name, "--verify");
    line->csv = line->csv || !strcmp(name, "--csv");
    line->md = line->md || !strcmp(name, "--md");
    line->tex = line->tex || !strcmp(name, "--tex");
}

/* One option, at argv[*i]; moves *i over its value. */
static const char *take_option(struct command_line *line, const struct subcommand *c, int argc, char **argv, int *i)
{
    const char *text = argv[*i], *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    const struct option_row *o = options;
    while (o < options + N_OPTIONS && (strlen(o->name) != n || strncmp(o->name, text, n) || !(o->group & c->options)))
        o++;
    if (o == options + N_OPTIONS)
        return unknown_option(c, text);
    if (!o->value) {
        if (equals)
            return as_say("%s takes no value", o->name);
        take_flag(line, o->name);
        return NULL;
    }
    if (!equals && *i + 1 >= argc)
        return as_say("%s needs %s", o->name, o->value);
    const char *value = equals ? equals + 1 : argv[++*i];
    return *value ? take_value(line, o->name, value) : as_say("%s needs %s", o->name, o->value);
}

static const char *take_arguments(struct command_line *line, const struct subcommand *c, int argc, char **argv)
{
    bool only_words = false;
    for (int i = 0; i < argc; i++) {
        const char *why = NULL;
        if (!only_words && !strcmp(argv[i], "--"))
            only_words = true;
        else if (!only_words && argv[i][0] == '-' && argv[i][1])
            why = take_option(line, c, argc, argv, &i);
        else
            line->word[line->n_words++] = argv[i];
        if (why)
            return why;
    }
    if (line->csv + line->md + line->tex > 1)
        return "choose one of --csv, --md and --tex";
    if (line->n_words < c->least || line->n_words > c->most)
        return as_say("usage: assay %s %s [OPTIONS]", c->name, c->usage);
    return NULL;
}

/* --- main ------------------------------------------------------------------------------------------------------ */

struct call { const struct subcommand *command; struct command_line *line; int status; };

static void call(void *ctx)
{
    struct call *c = ctx;
    const char *why = c->command->run == command_check ? NULL : as_registry_check(as_entries);
    if (why) {
        c->status = complain(EXIT_CANNOT, why);
        return;
    }
    if (c->command->run == command_run && c->line->n_words == 0) {     /* run what? */
        c->line->word[c->line->n_words++] = "experiments";
        c->status = command_list(c->line);
        return;
    }
    c->status = c->command->run(c->line);
}

static const struct subcommand *find_command(const char *name)
{
    const char *names[N_COMMANDS + 1] = { NULL };
    for (int i = 0; i < N_COMMANDS; i++) {
        if (!strcmp(table[i].name, name))
            return &table[i];
        names[i] = table[i].help ? table[i].name : "list";       /* `cell` is nobody's meaning */
    }
    const char *nearest = as_nearest(name, names);
    complain(EXIT_WRONG_USE, nearest ? as_say("there is no command %s: did you mean %s?", name, nearest)
                                     : as_say("there is no command %s; `assay --help` shows all", name));
    return NULL;
}

/* Nothing here depends on the user's locale or time zone. Standard files that are closed would be taken by the next
 * file that is opened, and messages would go there. */
static void settle_surroundings(void)
{
    setlocale(LC_ALL, "C");
    setenv("TZ", "UTC0", 1);
    tzset();
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", fd ? O_WRONLY : O_RDONLY) < 0)
            return;
}

static int run_command(const struct subcommand *c, int argc, char **argv)
{
    const char *env = getenv("ASSAY_RESULTS");
    struct command_line line = { .program = argv[0], .command = c->name, .results = env && *env ? env : "results" };
    line.word = calloc((size_t)argc + 1, sizeof *line.word);
    line.set = calloc((size_t)argc + 1, sizeof *line.set);
    if (!line.word || !line.set)
        return complain(EXIT_CANNOT, "no memory");
    const char *why = NULL;
    line.raw = argv + 2;
    line.n_raw = argc - 2;
    if (c->help && !(c->options & OWN))
        why = take_arguments(&line, c, argc - 2, argv + 2);
    struct call ctx = { .command = c, .line = &line };
    if (why)
        ctx.status = complain(EXIT_WRONG_USE, why);
    else if (as_try(call, &ctx))
        ctx.status = complain(EXIT_CANNOT, as_failure_text());
    if (fflush(stdout) || ferror(stdout))
        ctx.status = complain(EXIT_CANNOT, as_say("standard output: %s", strerror(errno)));
    free(line.word);
    free(line.set);
    return ctx.status;
}

int main(int argc, char **argv)
{
    settle_surroundings();
    if (argc < 2) {
        print_help();
        return EXIT_WRONG_USE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
        return print_help();
    if (!strcmp(argv[1], "--version"))
        return print_version();
    const struct subcommand *c = find_command(argv[1]);
    if (!c)
        return EXIT_WRONG_USE;
    for (int i = 2; i < argc && c->help && !(c->options & OWN); i++)
        if (!strcmp(argv[i], "--help"))
            return print_command_help(c);
    return run_command(c, argc, argv);
}
