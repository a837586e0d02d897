/* sequence.c: the loops of sequence.h at one processor level, in float. */
#include "sequence.h"
#include "kernels.h"
#include "vector.h"

extern const struct as_sequence_kernels AS_LEVELLED(as_sequence_kernels);

const struct as_sequence_kernels AS_LEVELLED(as_sequence_kernels) = {
    .scan_forward = scan_forward,
    .scan_backward = scan_backward,
    .scan_complex_forward = scan_complex_forward,
    .scan_complex_backward = scan_complex_backward,
    .depthwise_forward = depthwise_forward,
    .depthwise_backward = depthwise_backward,
};
