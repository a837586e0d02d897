/* unary.c: the loops of unary.h at one processor level, in float. */
#define AS_UNARY_LOOPS
#include "unary.h"
#include "kernels.h"
#include "vector.h"

extern const struct as_unary *const *const AS_LEVELLED(as_unary_loops);

const struct as_unary *const *const AS_LEVELLED(as_unary_loops) = unary_loops;
