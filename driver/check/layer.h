/* layer.h: what checks of layers share: the cases on which a layer is tried, running its forms, comparing. */
#ifndef ASSAY_CHECK_LAYER_H
#define ASSAY_CHECK_LAYER_H

#include "check.h"
#include "real/form.h"

/* --- cases ----------------------------------------------------------------------------------------------------------
 * The shapes: single steps, primes, sizes that are no multiple of the vector width, padded rows, long ones, weights
 * so large that gates saturate; with optional ports and without; optional slots empty and filled. Widths that the
 * layer refuses are replaced by the next candidates. */

struct check_case {
    struct form form;                    /* ready to run; impl is NULL */
    char text[96];                       /* "padded", "gain 8": what is special about it */
    char option[FORM_OPTIONS][256];      /* where form.options point */
    int n_options;
    bool extreme;                        /* sizes of one, saturated gates, an option at its end */
    int n_children;                      /* fillers of slots, all the way down: "core", "mixer.core" */
    struct { char key[64]; const struct as_entry *entry; } child[16];
    char why[512];                       /* not empty: no width was accepted, the last refusal */
};

enum check_which {
    CHECK_SHAPES,                        /* all of them */
    CHECK_FEW                            /* the usual one, the padded one, and without the optional ports */
};

/* Case number k, from 0. False when there is none. Cases that the layer refuses are left out; the first one, with the
 * sizes that the descriptor itself gives, never is: then `why` is set. */
bool check_case(const struct check_run *r, enum check_which which, int k, struct check_case *c);

/* The case with one more option, "heads=2"; "padded, heads=2". */
void check_case_option(struct check_case *c, const char *key, const char *value);

/* "batch 3, time 7, x (13), gain 2, padded to 7 of 7,1,5, heads=2, impl=chunk": for messages. as_say() memory. */
const char *check_where(const struct check_case *c, const struct form *f);

/* "(row 1, step 4, place 3)" of an output or input, "17 of W_q" for a weight. */
const char *check_element(const struct form *f, const struct form_result *r, int part, size_t index);

/* --- forms ---------------------------------------------------------------------------------------------------------*/

struct check_forms { int n; struct { const char *name, *why; double tolerance; } form[33]; };

/* Implementations by rank, then "graph" where there is one. Those of them that can only forward stand here, too. */
struct check_forms check_forms_of(const struct check_run *r);

/* Runs a form in float. False: it says itself that it cannot do this case (then it is not wrong), or it failed, and
 * that was said. Free out->value either way. */
bool check_run_form(struct check_run *r, const struct check_case *c, const struct form *f, struct form_result *out);
bool check_run_form_d(struct check_run *r, const struct check_case *c, const struct form *f, struct form_result *out);

/* Does this form exist in double: is it the graph, or an implementation in NAME.c itself? */
bool check_is_in_double(const struct check_run *r, const char *form);

/* How much a part may move in this form where in exact arithmetic it must not: nothing at all in the forms of NAME.c,
 * the tolerance of the oracle in kernels, which may compute many positions together (a Fourier transform does). */
double check_slack(struct check_run *r, const struct check_case *c, const struct form *f, int part);

/* The form in double against which everything is judged: the graph, or the reference where there is none. */
const char *check_truth_of(const struct check_run *r);

/* The form as the program takes it: a layer without implementations knows no key `impl`. */
struct form check_ready(const struct check_run *r, const struct form *f);

/* Is it small enough to be run, not only planned? Up to `most` weights, and not too many layers. */
bool check_is_small(const struct form_layout *layout, ptrdiff_t most);

/* Calls one() for every case (padded ones left out unless `padded`) and every form, f.impl set; from the second form
 * on of a case that failed, nothing is left out. */
void check_each(struct check_run *r, enum check_which which, bool padded,
                void (*one)(struct check_run *r, const struct check_case *c, const struct form *f));

/* What all layers in the usual case promise together; wirings and models stand back behind their children. */
unsigned check_promises(const struct check_run *r);

/* --- comparing -----------------------------------------------------------------------------------------------------
 * The unit of error is the oracle's own noise: the rms change of a part (the output, the gradient of one input or
 * weight) in double when every weight and input moves by up to one float ulp, at random, in 3 draws; at least an ulp
 * of the part's rms, and of what its rms is in the usual case (a gradient that cancels to nothing is made of terms of
 * the usual size). In extreme cases (sizes of one, saturated gates, an option at its end), where terms much larger
 * than the result cancel inside, the scatter of the graph in float under the same moves counts, too. The rms error of
 * a part may be 12 units; its worst element 4 times that, which is where the largest of some ten thousand normal
 * errors lies, an element with more noise than its part being judged by its own. */
#define CHECK_TOLERANCE 12.0
#define CHECK_WORST 4.0

struct check_noise { double unit[FORM_PARTS], *element; };   /* element: one an element of the truth; malloc'd */
struct check_noise check_noise(struct check_run *r, const struct check_case *c, const struct form *f,
                               const struct form_result *truth);

/* Compares the first `parts` parts (0: all) of got with the truth, in units of noise; says what is off. how: "chunk",
 * "streamed". Returns the worst error in units. */
double check_compare(struct check_run *r, const struct check_case *c, const struct form *f, const char *how,
                     const struct form_result *truth, const struct form_result *got, const struct check_noise *noise,
                     int parts, double tolerance);

/* The first element in which two results differ in any bit, as a sentence about `what`; false when none does. */
bool check_differ(struct check_run *r, const struct check_case *c, const struct form *f, const char *what,
                  const struct form_result *want, const struct form_result *got, int parts);

const struct as_variant *check_variant(const struct check_run *r);

#endif
