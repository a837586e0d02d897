/* papers.h: the rows of the catalogue (doc/catalogue.tsv), and what there is about each: plug-ins that implement it,
 * experiments that ask about it, verdicts that were accepted. Read from descriptors, experiment files and the ledger
 * alone. */
#ifndef ASSAY_DRIVER_PAPERS_H
#define ASSAY_DRIVER_PAPERS_H

#include <assay/registry.h>
#include <stdbool.h>
#include <stdio.h>

/* results/ledger.tsv, one line an accepted verdict; columns in this order. */
enum ledger_column { LEDGER_ID, LEDGER_EXPERIMENT, LEDGER_CLAIM, LEDGER_VERDICT, LEDGER_ESTIMATE, LEDGER_LOW,
                     LEDGER_HIGH, LEDGER_SEEDS, LEDGER_MINUTES, LEDGER_COMMIT, LEDGER_COLUMNS };
struct verdict { char *text[LEDGER_COLUMNS]; };

/* ids are texts: there are rows such as 17b. family is NULL for a row that is not in the catalogue, though something
 * here is about it. */
struct paper { char *id, *title, *name, *family; };

struct asked { char *name, *title, *papers, *study; double minutes; };   /* an experiment; study: or NULL */

struct papers {
    struct paper *paper; int n;               /* in the order of their ids */
    struct verdict *verdict; int n_verdicts;
    struct asked *experiment; int n_experiments;
};

/* NULL, or one line: what could not be read. To be closed either way. */
const char *papers_open(struct papers *p, const char *results);
void papers_close(struct papers *p);

/* Whether a list such as "16, 17b" holds an id. */
bool papers_hold(const char *list, const char *id);

/* The plug-in after `e` (NULL: the first) that implements a row: a layer, rule or objective whose descriptor names it,
 * or a study that an experiment about it runs; NULL behind the last. */
const struct as_entry *papers_mechanism(const struct papers *p, const char *id, const struct as_entry *e);

bool papers_asked(const struct papers *p, const char *id);         /* by some experiment */
bool papers_answered(const struct papers *p, const char *id);      /* some accepted verdict is upheld or refuted */

/* `assay papers --coverage`: how many rows of each family have a mechanism, an experiment, an answer. */
void papers_coverage(const struct papers *p, bool json);

#endif
