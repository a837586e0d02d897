// bench.cc: the shim. Everything else in bench/ is C.
#include "bench/bench.h"

#include <benchmark/benchmark.h>

static void run(benchmark::State &state, bench b)
{
    const char *why = b.prepare ? b.prepare(b.ctx) : nullptr;

    if (why) {
        state.SkipWithError(why);
        return;
    }
    for (auto _ : state)
        b.run(b.ctx);
    if (b.flop > 0)
        state.counters["FLOP/s"] = benchmark::Counter(b.flop, benchmark::Counter::kIsIterationInvariantRate);
    if (b.bytes > 0)
        state.counters["bytes/s"] = benchmark::Counter(b.bytes, benchmark::Counter::kIsIterationInvariantRate);
}

extern "C" void bench_register(const bench *b)
{
    benchmark::RegisterBenchmark(b->name, run, *b)->UseRealTime();
}

extern "C" int bench_main(int argc, char **argv)
{
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 2;
    bench_register_kernels();
    bench_register_layers();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
