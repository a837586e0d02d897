/* mmd.c: what of assay/distance.h does not know the sample's precision. */
#include <assay/distance.h>
#include <math.h>

ptrdiff_t as_mmd_size(const struct as_mmd *m) { return 2 * (ptrdiff_t)m->features * m->octaves; }

double as_mmd_between(const struct as_mmd *m, const double *mean, const double *other)
{
    double sum = 0;
    for (ptrdiff_t i = 0; i < as_mmd_size(m); i++)
        sum += (mean[i] - other[i]) * (mean[i] - other[i]);
    return sqrt(sum / ((double)m->features * m->octaves));
}
