/* command.c: what every subcommand needs. Apart from main.c, so that tests can link commands. */
#include "commands.h"
#include "experiment.h"

#include <stdio.h>

int complain(int status, const char *sentence)
{
    fprintf(stderr, "assay: %s\n", sentence);
    return status;
}

struct experiment *experiment_of(struct command_line *line)
{
    const char *why;
    struct experiment *e = experiment_read(line->word[0], line->set, line->n_set, line->quick, &why);
    if (!e)
        complain(EXIT_WRONG_USE, why);
    return e;
}

int complain_of_plan(const struct experiment *e, const char *why)
{
    return complain(e->no_data ? EXIT_CANNOT : EXIT_WRONG_USE, why);
}
