/* bench_machine.c: what the machine can do at this moment: multiply-adds, copies; and what it is. */
#include "bench.h"
#include "bench/kernel/peak.h"
#include "file.h"

#include <assay/arena.h>
#include <assay/error.h>
#include <assay/parallel.h>
#include <build_info.h>
#include <core/lib/library.h>
#include <core/real/gemm.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

extern const struct bench_peak bench_peak_portable;
#if defined(__x86_64__)
extern const struct bench_peak bench_peak_avx2, bench_peak_avx512;
static const struct bench_peak *const levels[] = { &bench_peak_portable, &bench_peak_avx2, &bench_peak_avx512 };
#else
static const struct bench_peak *const levels[] = { &bench_peak_portable };
#endif

double bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- multiply-adds ------------------------------------------------------------------------------------------------ */

enum { MAX_THREADS = 1024 };
struct spin { const struct bench_peak *kernel; long rounds; float sum[MAX_THREADS]; };

static void spin(void *ctx, ptrdiff_t i)
{
    struct spin *s = ctx;

    s->sum[i] = s->kernel->run(s->rounds, 0.999f);
}

double bench_peak(int threads)
{
    static struct spin s;
    double best = 0;

    s.kernel = levels[as_level()];
    s.rounds = (long)(2e8 / s.kernel->flop_per_round);
    for (int again = 0; again < 3; again++) {
        double start = bench_now(), seconds;

        as_parallel(threads, 1e9, spin, &s);
        seconds = bench_now() - start;
        for (int i = 0; i < threads; i++)
            if (!isfinite(s.sum[i]))
                as_fail(AS_FAILED, "the kernel that measures the peak went astray");
        best = fmax(best, (double)threads * (double)s.rounds * s.kernel->flop_per_round / seconds);
    }
    return best;
}

/* --- copies ------------------------------------------------------------------------------------------------------- */

enum { PIECE = 1 << 18 };
static struct { char *from, *to; size_t n, room; } copies;

static void copy(void *ctx, ptrdiff_t i)
{
    size_t at = (size_t)i * PIECE, left = copies.n - at;

    (void)ctx;
    memcpy(copies.to + at, copies.from + at, left < PIECE ? left : PIECE);
}

void bench_machine_free(void)
{
    free(copies.from);
    free(copies.to);
    memset(&copies, 0, sizeof copies);
}

double bench_copy(int threads, double bytes)
{
    const double most = 1 << 28;             /* beyond the caches anyway */
    double best = 0;
    size_t n = (size_t)(fmin(bytes, most) / 2);

    (void)threads;
    n = n < 4096 ? 4096 : n;
    if (n > copies.room) {
        bench_machine_free();
        copies.room = (n + 63) / 64 * 64;
        copies.from = aligned_alloc(64, copies.room);
        copies.to = aligned_alloc(64, copies.room);
        if (!copies.from || !copies.to)
            as_fail(AS_NO_MEMORY, "no memory for a copy of %zu bytes", n);
        memset(copies.from, 1, copies.room);
        memset(copies.to, 0, copies.room);
    }
    copies.n = n;
    for (int again = 0; again < 3; again++) {
        double start = bench_now(), seconds;
        long runs = 0;

        do {
            as_parallel((ptrdiff_t)((n + PIECE - 1) / PIECE), (double)n, copy, NULL);
            runs++;
            seconds = bench_now() - start;
        } while (seconds < 5e-4);
        best = fmax(best, 2 * (double)n * (double)runs / seconds);
    }
    return best;
}

/* --- facts -------------------------------------------------------------------------------------------------------- */

static void print_field(FILE *to, const char *file, const char *name, const char *shown)
{
    char *text = file_read(file, NULL, NULL), *at = text ? strstr(text, name) : NULL, *colon = at ? strchr(at, ':') : NULL;

    if (colon) {
        colon += strspn(colon, ": \t");
        colon[strcspn(colon, "\n")] = 0;
        fprintf(to, "# %s\t%s\n", shown, colon);
    }
    free(text);
}

void bench_machine_print(FILE *to, int threads)
{
    char *load = file_read("/proc/loadavg", NULL, NULL);
    struct utsname u;

    if (!uname(&u))
        fprintf(to, "# machine\t%s %s %s\n", u.sysname, u.release, u.machine);
    print_field(to, "/proc/cpuinfo", "model name", "processor");
    print_field(to, "/proc/cpuinfo", "cache size", "cache");
    fprintf(to, "# level\t%s\n", as_level_name(as_level()));
    fprintf(to, "# threads\t%d asked for, a team of %d seen\n", threads, as_threads_seen());
    fprintf(to, "# compiler\t%s; %s\n", ASSAY_CC, ASSAY_CFLAGS);
    fprintf(to, "# products\t%s; functions %s\n", as_products_by(), as_library_functions());
    if (load)
        fprintf(to, "# load\t%.*s (1, 5, 15 minutes, at the end)\n", (int)strcspn(load, "/\n") , load);
    free(load);
}
