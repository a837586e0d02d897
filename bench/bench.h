/* bench.h: Google Benchmark seen from C: register, run, skip with a reason. */
#ifndef ASSAY_BENCH_H
#define ASSAY_BENCH_H

#ifdef __cplusplus
extern "C" {
#endif

struct bench {
    const char *name;                /* "gemm/64x64x64"; copied */
    const char *(*prepare)(void *ctx); /* optional, untimed, before the first run: NULL, or why it is skipped */
    void (*run)(void *ctx);          /* one run: what is timed */
    void *ctx;
    double flop, bytes;              /* of one run; 0: not shown */
};

void bench_register(const struct bench *b);     /* b is copied; ctx is borrowed until the program ends */

/* Each file in bench/ that registers something offers one of these, called by main() through this list of two:
 * kernels and layers. */
void bench_register_kernels(void);
void bench_register_layers(void);

/* Runs main(): the command line's flags are Google Benchmark's own. */
int bench_main(int argc, char **argv);

#ifdef __cplusplus
}
#endif

#endif
