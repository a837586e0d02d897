/* adam.c: the loop of adam.h at one processor level, in float. */
#include "adam.h"
#include "kernels.h"
#include "vector.h"

void AS_LEVELLED(as_adam_pass)(ptrdiff_t n, const struct as_adam *a, const float *g, float *m, float *v, float *w);

void AS_LEVELLED(as_adam_pass)(ptrdiff_t n, const struct as_adam *a, const float *g, float *m, float *v, float *w)
{
    adam_pass(n, a, g, m, v, w);
}
