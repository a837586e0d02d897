/* peak.h: the kernel against which the share of the machine's peak is measured, one per processor level. */
#ifndef ASSAY_DRIVER_BENCH_PEAK_H
#define ASSAY_DRIVER_BENCH_PEAK_H

struct bench_peak {
    double flop_per_round;               /* a multiply-add counts two */
    float (*run)(long rounds, float x);
};

#endif
