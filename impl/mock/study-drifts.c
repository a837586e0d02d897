/* study-drifts.c: pi from points in a square. Wrong on purpose: each run draws from where the last one stopped. */
#include <assay/registry.h>
#include <assay/study.h>

struct opt { int draws; };

static const struct as_option options[] = {
    { .key = "draws", .type = AS_INT, .offset = offsetof(struct opt, draws), .def = 1000, .min = 1, .max = 100000,
      .help = "points drawn" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    { "pi", "raw", "four times the share of points of the square in the circle" },
    { "inside", "raw", "points in the circle" },
    { 0 }
};

static void run(struct as_study_run *r)
{
    const struct opt *o = r->opt;
    struct as_key key = { r->seed, AS_ROLE_STUDY, 0 };
    static uint64_t at;
    double inside = 0;

    for (int i = 0; i < o->draws; i++) {
        double x = (double)as_uniform(key, at++), y = (double)as_uniform(key, at++);

        inside += x * x + y * y < 1;
    }
    r->record(r->ctx, "pi", 4 * inside / o->draws);
    r->record(r->ctx, "inside", inside);
}

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "mock: each run draws from where the last one stopped",
    .options = options, .opt_size = sizeof(struct opt),
    .metrics = metrics,
    .run = run,
};

static const struct as_mock mock = {
    .caught_by = "study-repeatable",
    .truth = "the same seed gives the same numbers",
    .wrong = "Each run draws from where the last one stopped",
};

const struct as_plugin AS_PLUGIN(mock__study_drifts) = { .abi = ASSAY_ABI, .study = &study, .mock = &mock };
