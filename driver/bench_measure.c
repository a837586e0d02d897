/* bench_measure.c: round by round, each round in an order drawn anew, so that a neighbour who slows the machine for a
 * while does not meet one layer only; the machine's peak once a round. */
#include "bench.h"

#include <assay/error.h>
#include <assay/random.h>
#include <build_info.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double at(const double *x, int n, double share)
{
    double place = share * (n - 1);
    int i = (int)place;

    return i + 1 < n ? x[i] + (place - i) * (x[i + 1] - x[i]) : x[i];
}

struct bench_spread bench_quartiles(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, rising);
    return (struct bench_spread){ at(x, n, 0.25), at(x, n, 0.5), at(x, n, 0.75) };
}

void bench_measure(struct bench_item *items, int n, const struct bench_how *how, double **peak)
{
    int32_t *order = malloc((size_t)n * sizeof *order);

    *peak = malloc((size_t)how->repeats * sizeof **peak);
    if (!order || !*peak)
        as_fail(AS_NO_MEMORY, "no memory for times");
    for (int round = 0; round < how->repeats; round++) {
        (*peak)[round] = bench_peak(how->threads);
        as_shuffle((struct as_key){ how->seed, AS_ROLE_TEST_HARNESS, (uint64_t)round }, n, order);
        for (int k = 0; k < n; k++) {
            struct bench_item *i = &items[order[k]];

            if (!i->ms)
                continue;                    /* refused */
            i->ms[i->n] = 1e3 * bench_run(i, i->runs) / (double)i->runs;
            i->copies[i->n++] = i->bytes > 0 ? bench_copy(how->threads, i->bytes) : 0;
        }
    }
    for (int k = 0; k < n; k++)
        if (items[k].runner)
            items[k].facts = runner_describe(items[k].runner);
    free(order);
}

/* --- printing ----------------------------------------------------------------------------------------------------- */

static const char *number(double x, const char *format)
{
    char text[40];

    if (!(x > 0) || !isfinite(x))
        return "-";
    snprintf(text, sizeof text, format, x);
    return as_say("%s", text);
}

static const char *const modes[] = { "train", "forward", "step" };

static void print_flop(FILE *to, const struct bench_item *i)
{
    const char *useful = i->model ? "3 x the sum over its layers" : i->useful <= 0 ? "no products: see bytes/s"
                         : i->facts.costed ? as_say("the count of %s", i->facts.name)
                         : "counts of its parts, else 2 x their matrices x positions";

    fprintf(to, "# flop\t%s\t%s\t%s\n", i->label, i->flop > 0 ? i->formula : "-",
            i->facts.counted ? as_say("the products that %s makes", i->facts.impl) : useful);
    if (i->facts.counted)
        fprintf(to, "# useful flop\t%s\t%s\t%s\n", i->label, i->useful_formula, useful);
}

static void print_header(FILE *to, const struct bench_item *items, int n, const struct bench_how *how,
                         struct bench_spread peak, const double *sorted)
{
    fprintf(to, "# assay\t%s\n", PACKAGE_VERSION);
    bench_machine_print(to, how->threads);
    fprintf(to, "# peak\t%.4g\tGFLOP/s of multiply-adds in registers, median of %d\n", 1e-9 * peak.mid, how->repeats);
    fprintf(to, "# peak spread\t%.4g %.4g %.4g %.4g\tGFLOP/s: least, quartiles, most: the noise of this run\n",
            1e-9 * sorted[0], 1e-9 * peak.low, 1e-9 * peak.high, 1e-9 * sorted[how->repeats - 1]);
    fprintf(to, "# copy\t%.4g\tGB/s read and written, from memory (256 MiB); from cache (1 MiB) %.4g\n",
            1e-9 * bench_copy(how->threads, 1 << 28), 1e-9 * bench_copy(how->threads, 1 << 20));
    fprintf(to, "# order\tdrawn anew each of %d rounds, seed %ju; at least %g s an item\n", how->repeats,
            (uintmax_t)how->seed, how->seconds);
    fputs("# GFLOP/s\t= flop / (1e6 * median ms); flop below, for each line: the products of the form that ran, where it\n"
          "#\tcounts them itself (chunks, tiles and transforms make others than the recurrence or the sum on paper), else\n"
          "#\tthe layer's count; train counts 3 forward passes of that\n"
          "# share of peak\t= GFLOP/s / peak\n"
          "# bytes/s\t= bytes / (1e-3 * median ms); bytes: inputs, output, weights and their gradients once each way,\n"
          "#\tforward 4*(in+out+weights), train 4*(3*in+2*out+3*weights), step forward and the state read and written\n"
          "# share of copy\t= bytes/s / those of a copy that moves as many bytes, in the same rounds\n"
          "# useful GFLOP/s\t= useful flop / (1e6 * median ms), useful flop: the layer's own count, whatever form ran\n"
          "# memory\thigh water of the arena in bytes: what is saved, gradients, scratch, state; not inputs and weights\n", to);
    for (int k = 0; k < n; k++)
        if (items[k].n)
            print_flop(to, &items[k]);
}

void bench_print(FILE *to, struct bench_item *items, int n, const struct bench_how *how, double *peak)
{
    struct bench_spread top = bench_quartiles(peak, how->repeats);

    print_header(to, items, n, how, top, peak);
    fputs("name\timplementation\tB\tT\tD\tthreads\tmedian ms\tGFLOP/s\tshare of peak\tbytes/s\tmemory\tlower quartile ms\t"
          "upper quartile ms\trepeats\tmode\tscope\tposition\tshare of copy\tuseful GFLOP/s\n", to);
    for (int k = 0; k < n; k++) {
        struct bench_item *i = &items[k];
        struct bench_spread ms;
        double rate, bytes;

        if (!i->n)
            continue;
        ms = bench_quartiles(i->ms, i->n);
        i->copy = bench_quartiles(i->copies, i->n).mid;
        rate = i->flop / (1e6 * ms.mid);
        bytes = i->bytes / (1e-3 * ms.mid);
        fprintf(to, "%s\t%s\t%td\t%td\t%td\t%d\t%.5g\t%s\t", i->label, i->facts.impl, i->batch, i->time, i->width,
                how->threads, ms.mid, number(rate, "%.5g"));
        fprintf(to, "%s\t%s\t%s\t%.5g\t%.5g\t%d\t%s\t%s\t", number(1e9 * rate / top.mid, "%.4f"), number(bytes, "%.5g"),
                number(i->facts.memory, "%.0f"), ms.low, ms.high, i->n, modes[i->mode], i->scope);
        fprintf(to, "%s\t%s\t%s\n", i->mode == RUN_STEP ? as_say("%ld", i->position) : "-",
                number(i->copy > 0 ? bytes / i->copy : 0, "%.3f"), number(i->useful / (1e6 * ms.mid), "%.5g"));
    }
}

/* --- time against length ------------------------------------------------------------------------------------------ */

/* Student's t at 97.5 % for 1 to 10 degrees of freedom. */
static double t_975(int freedom)
{
    static const double t[] = { 12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228 };

    return freedom < 1 ? (double)NAN : freedom <= 10 ? t[freedom - 1] : 1.96 + 2.4 / freedom;
}

static void exponent(FILE *to, const char *label, const char *what, const double *x, const double *y, int n)
{
    double mx = 0, my = 0, sxx = 0, sxy = 0, rest = 0, slope, half;

    for (int k = 0; k < n; k++) {
        mx += log(x[k]) / n;
        my += log(y[k]) / n;
    }
    for (int k = 0; k < n; k++) {
        sxx += pow(log(x[k]) - mx, 2);
        sxy += (log(x[k]) - mx) * (log(y[k]) - my);
    }
    slope = sxy / sxx;
    for (int k = 0; k < n; k++)
        rest += pow(log(y[k]) - my - slope * (log(x[k]) - mx), 2);
    half = n > 2 ? t_975(n - 2) * sqrt(rest / (n - 2) / sxx) : (double)NAN;
    fprintf(to, "# exponent\t%s\t%s\t%.4f\t[%.4f, %.4f]\tleast squares on logarithms, %d lengths, 95 %%\n", label, what, slope,
            slope - half, slope + half, n);
}

void bench_scaling_print(FILE *to, struct bench_item *items, int n)
{
    double x[64], y[64], m[64];

    for (int first = 0; first < n; ) {
        int end = first, k = 0;

        while (end < n && strcmp(items[end].label, items[first].label) == 0 && end - first < 64) {
            if (items[end].n) {
                x[k] = (double)items[end].time;
                m[k] = items[end].facts.memory;
                y[k++] = at(items[end].ms, items[end].n, 0.5);
            }
            end++;
        }
        if (k > 1) {
            exponent(to, items[first].label, "time", x, y, k);
            exponent(to, items[first].label, "memory", x, m, k);
        }
        first = end;
    }
}
