/* main.c: the kernel benches. ASSAY_THREADS sets the team (default 1), ASSAY_ISA the processor level. */
#include "bench/bench.h"

#include <assay/parallel.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *threads = getenv("ASSAY_THREADS"), *why = as_level_refusal();

    if (why) {
        fprintf(stderr, "%s\n", why);
        return 2;
    }
    as_threads_set(threads ? atoi(threads) : 1);
    printf("level %s, %d threads\n", as_level_name(as_level()), as_threads_seen());
    return bench_main(argc, argv);
}
