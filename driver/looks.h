/* looks.h: alpha is spent once. RESULTS/NAME/looks.tsv says at which sets of seeds the claims of an experiment have
 * been shown, and what each showing was given. What was given stays given; the shares never sum to more than all.
 *
 *   - The file's own seeds, shown first, are the only look and get all of alpha; then nothing is left for others.
 *   - When other seeds are shown first, or [experiment] says looks = 3, there are three looks at most, in the order
 *     shown, with 20, 30 and 50 per cent (.01, .015, .025 of .05).
 *   - The same seeds are the same look, however often they are shown, run again or exported.
 *   - A showing in which no claim could be decided (too few seeds, cells missing) is no look: it ends nothing. Nor
 *     are the quick form and altered settings, whose verdicts are not the experiment's.
 *
 * The table belongs to the claims as they are written: another `that` or `given` is another question.
 */
#ifndef ASSAY_DRIVER_LOOKS_H
#define ASSAY_DRIVER_LOOKS_H

#include <driver/results.h>

struct look {
    int number;                      /* for claim_options.look */
    bool kept;                       /* in the table already */
    bool spent;                      /* nothing is left for these seeds */
    char earlier[200];               /* other sets of seeds that were shown, as text; "" for none */
};

/* Which look the seeds of this experiment are. false and *why (the file, and what to do) when the table is damaged. */
bool looks_find(const struct results *r, struct look *l, const char **why);
/* Puts it into the table, atomically, unless it is there. NULL, or one line: then no verdict may be shown. */
const char *looks_keep(const struct results *r, const struct look *l);
/* "look 2 of 3: alpha 0.015", or why there is no verdict; NULL for the only look. as_say(). */
const char *looks_text(const struct results *r, const struct look *l);

#endif
