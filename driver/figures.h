/* figures.h: private to the drawing of figures: a table of numbers, and the script that draws it. */
#ifndef ASSAY_DRIVER_FIGURES_H
#define ASSAY_DRIVER_FIGURES_H

#include <driver/results.h>

struct mark {                        /* one row of a figure's table */
    char *text;                      /* x as text */
    double x, mean, low, high;       /* x: its number, or its place when it is no number */
    int n;
};
struct series { char *label; struct mark *mark; int n; };
struct seeds { int series, place; double value; };       /* `dots`: single values behind each mark */

struct drawing {
    const struct figure *figure;
    struct series *series; int n_series;
    struct seeds *seed; int n_seeds;
    char *metric, *x_name;
    bool x_numeric, proportion;
    double chance;                   /* NAN: none to show */
    int replicates;                  /* the most that any mark rests on */
    double level;                    /* of the intervals, in per cent */
};

/* Reads one figure's numbers from the records. NULL and *why: file, line, sentence. */
struct drawing *drawing_make(struct results *r, const struct figure *f, const char **why);
void drawing_free(struct drawing *d);
/* Kind `scatter`: curves are points of the plane, one seed's, and every series has a panel of its own. */
bool drawing_is_points(const struct drawing *d);

/* NULL, or the first figure whose kind has no template: asked before anything is trained. */
const char *figures_kinds(const struct experiment *e);

/* NAME.tsv and NAME.gp in the figures' folder. NULL, or one line. */
const char *drawing_write(struct results *r, const struct drawing *d);

#endif
