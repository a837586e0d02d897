/* sequence.c: the loops of sequence.h and normaliser.h at one processor level, in float. */
#include "sequence.h"
#include "kernels.h"
#include "normaliser.h"
#include "vector.h"

void AS_LEVELLED(as_scan_backward)(const struct as_scan_piece *p);
void AS_LEVELLED(as_scan_complex_forward)(const struct as_scan_piece *p);
void AS_LEVELLED(as_scan_complex_backward)(const struct as_scan_piece *p);
void AS_LEVELLED(as_depthwise_forward)(const struct as_depthwise_piece *p);
void AS_LEVELLED(as_depthwise_backward)(const struct as_depthwise_piece *p);
extern const struct as_sequence_kernels AS_LEVELLED(as_sequence_kernels);

const struct as_sequence_kernels AS_LEVELLED(as_sequence_kernels) = {
    .scan_forward = scan_forward,
    .scan_backward = AS_LEVELLED(as_scan_backward),
    .scan_complex_forward = AS_LEVELLED(as_scan_complex_forward),
    .scan_complex_backward = AS_LEVELLED(as_scan_complex_backward),
    .depthwise_forward = AS_LEVELLED(as_depthwise_forward),
    .depthwise_backward = AS_LEVELLED(as_depthwise_backward),
    .normaliser_forward = normaliser_forward,
    .normaliser_backward = normaliser_backward,
};
