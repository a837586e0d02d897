/* peak.c: how many multiply-adds a core can do: independent chains in registers, no memory. Compiled once per processor
 * level; what is measured at a level is the peak that its kernels have. */
#include "driver/bench/kernel/peak.h"

#include "core/kernel/vector.h"

enum { CHAINS = 16 };                    /* two units with four cycles each need eight; sixteen hide the rest */

/* Returns a number that depends on all chains, so that none is left out. x: a number a little below 1. */
static float chains(long rounds, float x)
{
    vf a[CHAINS], m = vf_set1(x), c = vf_set1(1 - x);
    float lane[VF_WIDTH], sum = 0;

    for (int i = 0; i < CHAINS; i++)
        a[i] = vf_set1((float)i);
    for (long r = 0; r < rounds; r++) {
#pragma GCC unroll 16
        for (int i = 0; i < CHAINS; i++)
            a[i] = vf_fma(a[i], m, c);
    }
    for (int i = 0; i < CHAINS; i++) {
        vf_store(lane, a[i]);
        for (int j = 0; j < VF_WIDTH; j++)
            sum += lane[j];
    }
    return sum;
}

const struct bench_peak AS_LEVELLED(bench_peak) = { .flop_per_round = 2.0 * CHAINS * VF_WIDTH, .run = chains };
