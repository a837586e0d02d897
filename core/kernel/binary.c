/* binary.c: the loops of binary.h at one processor level, in float. */
#define AS_BINARY_LOOPS
#include "binary.h"
#include "kernels.h"
#include "vector.h"

extern const struct as_binary *const *const AS_LEVELLED(as_binary_loops);

const struct as_binary *const *const AS_LEVELLED(as_binary_loops) = binary_loops;
