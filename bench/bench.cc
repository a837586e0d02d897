// bench.cc: the shim. Everything else in bench/ is C.
#include "bench/bench.h"

#include <benchmark/benchmark.h>
#include <string>
#include <vector>

static double peak_of_machine;

static void run(benchmark::State &state, bench b)
{
    const char *why = b.prepare ? b.prepare(b.ctx, state.range(0)) : nullptr;
    double flop = 0, bytes = 0;

    if (why) {
        state.SkipWithError(why);
        return;
    }
    for (auto _ : state)
        b.run(b.ctx);
    if (b.count)
        b.count(b.ctx, &flop, &bytes);
    if (flop > 0) {
        state.counters["FLOP/s"] = benchmark::Counter(flop, benchmark::Counter::kIsIterationInvariantRate);
        state.counters["of_peak"] = benchmark::Counter(flop / peak_of_machine, benchmark::Counter::kIsIterationInvariantRate);
    }
    if (bytes > 0)
        state.counters["bytes/s"] = benchmark::Counter(bytes, benchmark::Counter::kIsIterationInvariantRate);
    state.SetComplexityN(state.range(0));
}

extern "C" void bench_register(const bench *b)
{
    auto *made = benchmark::RegisterBenchmark(b->name, run, *b)->UseRealTime();
    int n = 0;

    for (; b->sizes[n]; n++)
        made->Arg(b->sizes[n]);
    if (n > 2)
        made->Complexity();
}

extern "C" int bench_main(int argc, char **argv, double peak, const char *level, int threads)
{
    std::string usual[] = { "--benchmark_enable_random_interleaving=true", "--benchmark_repetitions=3",
                            "--benchmark_report_aggregates_only=true" };
    std::vector<char *> all = { argv[0] };

    for (auto &flag : usual)
        all.push_back(flag.data());
    all.insert(all.end(), argv + 1, argv + argc);
    argc = static_cast<int>(all.size());
    all.push_back(nullptr);
    peak_of_machine = peak;
    benchmark::AddCustomContext("level", level);
    benchmark::AddCustomContext("threads", std::to_string(threads));
    benchmark::AddCustomContext("peak_gflops", std::to_string(peak * 1e-9));
    benchmark::Initialize(&argc, all.data());
    if (benchmark::ReportUnrecognizedArguments(argc, all.data()))
        return 2;
    bench_register_kernels();
    bench_register_layers();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
