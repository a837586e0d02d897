/* bench.h: Google Benchmark seen from C: register, run, skip with a reason. */
#ifndef ASSAY_BENCH_H
#define ASSAY_BENCH_H

#ifdef __cplusplus
extern "C" {
#endif

struct bench {
    const char *name;                /* "gemm/square"; copied */
    /* Untimed, before the first run at a size: makes room and compares with the oracle. NULL, or why it is skipped. */
    const char *(*prepare)(void *ctx, long size);
    void (*run)(void *ctx);          /* one run at that size: what is timed */
    void (*count)(void *ctx, double *flop, double *bytes);     /* of one run; 0: not shown */
    void *ctx;
    const long *sizes;               /* several: the time's growth with the size is fitted; ends with 0 */
};

void bench_register(const struct bench *b);     /* b is copied; ctx and sizes are borrowed until the program ends */

/* Each file in bench/ that registers something offers one of these, called by bench_main(). */
void bench_register_kernels(void);
void bench_register_layers(void);

/* Runs them; the command line's flags are Google Benchmark's own, with random interleaving of three repetitions unless
 * they say otherwise. peak: FLOP/s, for the shares; level, threads: said in the output. */
int bench_main(int argc, char **argv, double peak, const char *level, int threads);

#ifdef __cplusplus
}
#endif

#endif
