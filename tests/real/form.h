/* form.h: one layer by itself, run by one of its implementations: for comparing forms with each other. */
#ifndef ASSAY_TESTS_FORM_H
#define ASSAY_TESTS_FORM_H

#include <assay/real.h>
#include <stddef.h>
#include <stdint.h>

struct form {
    const char *variant, *impl;          /* "lstm"; "graph", "ref", "fused" */
    const char *options[12];             /* "heads=2", ...; NULL ends */
    ptrdiff_t batch, time;
    int n_in;
    struct form_input { const char *name; int rank; ptrdiff_t dim[3]; double scale; int positive; ptrdiff_t vocab; } in[6];
    const int32_t *length;               /* (batch) or NULL */
    double gain;                         /* weights are multiplied by it; 0: 1 */
    double jitter;                       /* relative change of every weight and input, drawn by `draw` */
    uint64_t seed, draw;
    int stream;                          /* one step after the other, no gradients */
};

/* All numbers of the run one after the other: output, gradient of each real input, gradient of each weight;
 * malloc'd. Part p is value[end[p-1]] .. value[end[p]-1], part 0 the output. */
#define FORM_PARTS 48
struct form_result { size_t n, end[FORM_PARTS]; int n_parts; double *value; char part[FORM_PARTS][64], why[256]; };

#define form_run AS_REAL(form_run)
struct form_result form_run(const struct form *f);

#endif
