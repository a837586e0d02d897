/* bench_serve.c: one process that measures what it is asked for, again and again, so that somebody who alternates it with
 * other programs pays for starting it once. One line a request, one line an answer, fields parted by tabs:
 *     measure NAME LAYER SCOPE SETTINGS BxTxD SECONDS   ->  ok MS LOWER UPPER REPEATS IMPLEMENTATION FLOP PEAK | no WHY
 * MS: median of a run; quartiles; FLOP of a run; PEAK: FLOP/s, measured before. */
#include "bench.h"

#include <assay/config.h>
#include <assay/error.h>
#include <stdlib.h>
#include <string.h>

enum { FIELDS = 7, REPEATS = 7, ROOM = 4096 };

/* Shapes whose agreement has been seen in this process. */
static char *seen[512];
static int n_seen;

static bool known(const char *request, bool remember)
{
    for (int k = 0; k < n_seen; k++)
        if (strcmp(seen[k], request) == 0)
            return true;
    if (remember && n_seen < (int)(sizeof seen / sizeof *seen) && (seen[n_seen] = strdup(request)))
        n_seen++;
    return false;
}

static const char *parse(char **field, struct bench_item *i, double *seconds)
{
    int end = 0;

    *i = (struct bench_item){ .heads = 4, .mode = RUN_TRAIN };
    snprintf(i->label, sizeof i->label, "%s", field[1]);
    snprintf(i->layer, sizeof i->layer, "%s", field[2]);
    snprintf(i->scope, sizeof i->scope, "%.7s", field[3]);
    if (sscanf(field[5], "%tdx%tdx%td%n", &i->batch, &i->time, &i->width, &end) != 3 || field[5][end] || i->batch < 1 ||
        i->time < 1 || i->width < 1)
        return as_say("%s is no shape BxTxD", field[5]);
    if (!as_parse_num(field[6], seconds) || *seconds <= 0 || *seconds > 3600)
        return as_say("%s is no time in seconds", field[6]);
    return bench_settings(i, field[4]);
}

static void answer(char *line, const struct bench_how *how)
{
    char *field[FIELDS], *at = line, *key = NULL;
    struct bench_how one = *how;
    struct bench_item i;
    const char *why = NULL;
    double *peak = NULL;
    int n = 0;

    for (; n < FIELDS && at; n++) {
        field[n] = at;
        at = strchr(at, '\t');
        if (at)
            *at++ = 0;
    }
    if (n != FIELDS || strcmp(field[0], "measure") != 0) {
        puts("no\ta request is: measure NAME LAYER SCOPE SETTINGS BxTxD SECONDS, parted by tabs");
        return;
    }
    one.repeats = REPEATS;
    why = parse(field, &i, &one.seconds);
    if (!why) {
        key = strdup(as_say("%s %s %s %s", field[2], field[3], field[4], field[5]));
        i.agreed = key && known(key, false);
        why = bench_open(&i, &one);
    }
    if (why) {
        printf("no\t%s\n", why);
    } else {
        struct bench_spread ms;

        if (key)
            known(key, true);
        bench_measure(&i, 1, &one, &peak);
        ms = bench_quartiles(i.ms, i.n);
        printf("ok\t%.6g\t%.6g\t%.6g\t%d\t%s\t%.6g\t%.6g\n", ms.mid, ms.low, ms.high, i.n, i.facts.impl, i.flop,
               bench_quartiles(peak, one.repeats).mid);
        bench_free(&i);
    }
    free(key);
    free(peak);
}

int bench_serve(const struct bench_how *how)
{
    static char line[ROOM];

    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (strcmp(line, "quit") == 0)
            break;
        answer(line, how);
    }
    return EXIT_ALL_WELL;
}
