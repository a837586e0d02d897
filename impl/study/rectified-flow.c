/* rectified-flow.c: straight paths from noise to data, and what makes one more round of straightening enough.
 *
 * Lee, Lin and Fanti 2024, "Improving the training of rectified flows" (arXiv 2405.20320). With data x, noise z ~ N(0, I),
 *     x_t = (1 - t) x + t z,   min over v of E m(v(x_t, t) - (z - x)),   samples: dx/dt = v(x, t) from t = 1 to 0.
 * The base flow takes x and z independently and m = |d|^2. Reflow trains again, from the base flow's weights, on pairs
 * (z, x = what the flow before makes of z). The paper's changes, of the reflow only:
 *     ushape    density of t proportional to e^(a t) + e^(a (1 - t)), a = 4, for a uniform one
 *     huber     m = sqrt(|d|^2 + c^2) - c, c = 0.00054 times the dimensions, for |d|^2
 *     improved  both;   plain  neither
 * and `plain_twice`, `improved_twice`: one more reflow, with pairs of the flow of that name and its changes. All reflows
 * take as many steps, at the same rates (Adam, cosine to zero), and those of a round see the same pairs.
 * Measured of each: straight, the integral over t of E |v - (z - x)|^2 along the flow's own paths (Liu et al. 2023); mmd, the
 * distance of samples in one Euler step from test data (assay/distance.h), sliced, the same by sliced Wasserstein;
 * heun, in one Heun step, two evaluations. floor: the distance of data from other data, as many points.
 * Departs: a perceptron, no LPIPS, no diffusion model to start from, no real data mixed in, no average of weights.
 */
#include <assay/distance.h>
#include <assay/study.h>
#include "descend.h"
#include "flow.h"

enum { BASE, PLAIN, USHAPE, HUBER, IMPROVED, PLAIN_TWICE, IMPROVED_TWICE, FLOWS };
enum { MMD, STRAIGHT, SLICED, HEUN, KINDS };       /* of metrics, in the order of the table */
enum { DIRECTIONS = 32, STRAIGHT_ROWS = 2000, STRAIGHT_STEPS = 50 };
enum { KEY_NOISE, KEY_TIME, KEY_PAIR, KEY_STEP, KEY_DROPOUT, KEY_TEST, KEY_KERNEL, KEY_SLICES };

struct opt { int base, steps, batch, pairs, fine, samples, points; double rate, a, huber; };

static const struct as_option options[] = {
    { "base", AS_INT, offsetof(struct opt, base), 60, 1, 10000000, NULL, NULL, "steps of training of the base flow" },
    { "steps", AS_INT, offsetof(struct opt, steps), 60, 1, 10000000, NULL, NULL, "of each reflow" },
    { "batch", AS_INT, offsetof(struct opt, batch), 64, 1, 1000000, NULL, NULL, "examples of a step" },
    { "rate", AS_NUM, offsetof(struct opt, rate), 2e-3, 1e-8, 10, NULL, "0.001,0.003", "Adam's at the start" },
    { "pairs", AS_INT, offsetof(struct opt, pairs), 500, 1, 100000000, NULL, NULL, "of noise and sample, for a reflow" },
    { "fine", AS_INT, offsetof(struct opt, fine), 10, 1, 10000, NULL, NULL, "steps of an exact solution (Heun)" },
    { "samples", AS_INT, offsetof(struct opt, samples), 300, 2, 10000000, NULL, NULL, "of each distance" },
    { "points", AS_INT, offsetof(struct opt, points), 50, 0, 100000, NULL, NULL, "of each picture" },
    { "a", AS_NUM, offsetof(struct opt, a), 4, 0.01, 50, NULL, "2,4,8", "a of the U-shape" },
    { "huber", AS_NUM, offsetof(struct opt, huber), 0.00054, 1e-8, 100, NULL, "0.00054,0.03", "c by dimension" },
    { 0 }
};

#define EACH_FLOW(kind, text)                                                                                     \
    { kind "_base", "log", text " of the base flow" }, { kind "_plain", "log", text " after one plain reflow" },   \
    { kind "_ushape", "log", text " after one with the U-shape" },                                                \
    { kind "_huber", "log", text " after one with Huber" }, { kind "_improved", "log", text " after one with both" }, \
    { kind "_plain_twice", "log", text " after two plain ones" },                                                 \
    { kind "_improved_twice", "log", text " after two with both" }

static const struct as_study_metric metrics[] = {
    EACH_FLOW("mmd", "MMD of samples in one Euler step (as a curve: in more)"),
    EACH_FLOW("straight", "how crooked the paths are"),
    EACH_FLOW("sliced", "sliced Wasserstein distance of samples in one step (as a curve: some of them)"),
    EACH_FLOW("heun", "MMD of samples in one Heun step (as a curve, by evaluations: in more)"),
    { "exact", "log", "MMD of the base flow's samples, solved finely" },
    { "floor", "log", "MMD of data from other data; as a curve, points of the data" },
    { 0 }
};

#define EACH_AXIS(kind, x)                                                                                        \
    kind "_base", x, kind "_plain", x, kind "_ushape", x, kind "_huber", x, kind "_improved", x,                  \
    kind "_plain_twice", x, kind "_improved_twice", x

static const char *const axes[] = { EACH_AXIS("mmd", "Euler steps"), EACH_AXIS("heun", "evaluations"),
                                    EACH_AXIS("sliced", "x"), "floor", "x", NULL };

struct lab {
    const struct opt *o;
    struct as_study_run *run;
    struct as_arena *a;
    struct as_tape *t;
    struct as_config *cfg;
    struct as_data *data;
    ptrdiff_t d;
    struct as_mmd mmd;
    double *mean, *real_mean;        /* embeddings of a sample, and of test data */
    real *truth, *noise, *made;      /* (samples, d): test data; noise; samples of it */
    real *pair_z, *pair_x;           /* (pairs, d) of the reflow to come */
    struct flow flow[FLOWS];
};

static bool has_ushape(int flow) { return flow == USHAPE || flow == IMPROVED || flow == IMPROVED_TWICE; }
static bool has_huber(int flow) { return flow == HUBER || flow == IMPROVED || flow == IMPROVED_TWICE; }
/* All flows of one round see the same draws: which pairs, and t as far as its density lets them. */
static int round_of(int flow) { return flow == BASE ? 0 : flow <= IMPROVED ? 1 : 2; }

static struct as_key key_of(const struct lab *l, int what, int flow, int step)
{
    uint64_t stream = (uint64_t)(8 * what + round_of(flow));
    return as_subkey((struct as_key){ l->run->seed, AS_ROLE_STUDY, stream }, (uint64_t)step);
}

/* Examples from..from+n-1 of a split, field x. */
static void take_data(struct lab *l, enum as_split split, uint64_t from, ptrdiff_t n, real *x)
{
    for (ptrdiff_t at = 0; at < n; at += FLOW_CHUNK) {
        ptrdiff_t rows = n - at < FLOW_CHUNK ? n - at : FLOW_CHUNK;
        size_t mark = as_arena_mark(l->a);
        const struct as_batch *b = as_batch_fill(l->data, l->a, split, from + (uint64_t)at, rows, NULL);
        memcpy(x + at * l->d, b->x[0], (size_t)(rows * l->d) * sizeof *x);
        as_arena_reset(l->a, mark);
    }
}

static void open_data(struct lab *l)
{
    l->data = as_data_open(l->cfg, l->run->seed, l->run->stored);
    const struct as_data_shape *s = as_data_describe(l->data);
    if (s->count[AS_TRAIN] || s->max_length != 1 || s->field[0].integer || s->field[0].rank != 2)
        as_fail(AS_REFUSED, "data.source: this study needs generated points, as of gaussian-mixture-2d");
    l->d = s->field[0].dim[1];
}

/* --- training ------------------------------------------------------------------------------------------------ */

/* The U-shape by the inverse of e^(a t)'s distribution, turned around for every other draw. */
static double draw_time(const struct lab *l, int flow, struct as_key key, ptrdiff_t r)
{
    double u = (double)as_uniform(key, (uint64_t)(2 * r)), a = l->o->a;
    if (!has_ushape(flow))
        return u;
    u = log1p(u * expm1(a)) / a;
    return as_bits(key, (uint64_t)(2 * r + 1)) & 1 ? 1 - u : u;
}

/* One batch: what the model reads, and z - x. */
static void draw_batch(struct lab *l, int flow, int step, real *in, real *target)
{
    ptrdiff_t n = l->o->batch, d = l->d;
    struct as_key times = key_of(l, KEY_TIME, flow, step), pick = key_of(l, KEY_STEP, flow, step);
    real *xt = as_arena_take(as_tape_arena(l->t), as_size((size_t)(3 * n * d), sizeof *xt));
    real *x = xt + n * d, *z = x + n * d;
    if (flow == BASE) {
        take_data(l, AS_TRAIN, (uint64_t)step * (uint64_t)n, n, x);
        flow_noise(key_of(l, KEY_NOISE, flow, step), n * d, z);
    }
    for (ptrdiff_t r = 0; r < n && flow != BASE; r++) {
        ptrdiff_t k = (ptrdiff_t)as_below(pick, (uint64_t)r, (uint32_t)l->o->pairs);
        memcpy(x + r * d, l->pair_x + k * d, (size_t)d * sizeof *x);
        memcpy(z + r * d, l->pair_z + k * d, (size_t)d * sizeof *z);
    }
    for (ptrdiff_t r = 0; r < n; r++) {
        double t = draw_time(l, flow, times, r);
        for (ptrdiff_t i = r * d; i < (r + 1) * d; i++) {
            xt[i] = (real)((1 - t) * (double)x[i] + t * (double)z[i]);
            target[i] = z[i] - x[i];
        }
        flow_input(d, xt + r * d, t, in + r * (d + FLOW_TIMES));
    }
}

static struct as_node *loss_of(struct lab *l, int flow, int step)
{
    struct as_tape *t = l->t;
    ptrdiff_t n = l->o->batch, dims[2] = { n, l->d };
    double c = l->o->huber * (double)l->d;
    as_tape_reset(t);
    real *in = as_arena_take(as_tape_arena(t), as_size((size_t)(n * (2 * l->d + FLOW_TIMES)), sizeof *in));
    real *target = in + n * (l->d + FLOW_TIMES);
    draw_batch(l, flow, step, in, target);
    struct as_node *v = flow_velocity(&l->flow[flow], n, in, true, key_of(l, KEY_DROPOUT, flow, step));
    struct as_node *square = as_squared_error(t, v, as_node_wrap(t, 2, dims, target, NULL));
    if (has_huber(flow))
        square = as_shift_by(t, as_sqrt(t, as_shift_by(t, square, c * c)), -c);
    return as_scale(t, as_sum_all(t, square), 1 / (double)(n * l->d));
}

static void train(struct lab *l, int flow)
{
    size_t mark = as_arena_mark(l->a);
    struct descent d = descend_from(l->a, l->flow[flow].m);
    int steps = flow == BASE ? l->o->base : l->o->steps;
    for (int step = 0; step < steps; step++) {
        descend_clear(&d);
        struct as_node *loss = loss_of(l, flow, step);
        as_backward(l->t, loss, R(1.0));
        descend_step(&d, loss, l->o->rate * descend_schedule(step + 1, steps, 0), 0);
    }
    as_arena_reset(l->a, mark);
}

/* A flow of its own, or one that starts where `teacher` is and learns from its pairs. */
static void make_flow(struct lab *l, int flow, int teacher)
{
    struct as_config *cfg = as_config_copy(l->cfg);      /* the model writes its defaults into it */
    struct as_data_shape shape = flow_shape(l->d);
    l->flow[flow] = (struct flow){ as_model_new(cfg, &shape, l->run->seed), l->t, l->d };
    as_config_free(cfg);
    if (teacher != flow) {
        struct as_weights to = as_model_store(l->flow[flow].m), from = as_model_store(l->flow[teacher].m);
        memcpy(to.w, from.w, (size_t)to.n * sizeof *to.w);
    }
    train(l, flow);
}

static void make_pairs(struct lab *l, int teacher)
{
    flow_noise(key_of(l, KEY_PAIR, teacher, 0), l->o->pairs * l->d, l->pair_z);
    flow_sample(&l->flow[teacher], l->a, l->o->pairs, l->pair_z, AS_HEUN, l->o->fine, l->pair_x);
}

/* --- measuring ------------------------------------------------------------------------------------------------ */

static double distance(struct lab *l, int flow, enum as_ode_method method, int steps)
{
    flow_sample(&l->flow[flow], l->a, l->o->samples, l->noise, method, steps, l->made);
    as_mmd_mean(&l->mmd, l->a, l->o->samples, l->made, l->mean);
    return as_mmd_between(&l->mmd, l->mean, l->real_mean);
}

static void draw_points(struct lab *l, const char *name, const real *x)
{
    for (int i = 0; i < l->o->points && i < l->o->samples; i++)
        l->run->curve(l->run->ctx, name, (double)x[i * l->d], (double)x[i * l->d + (l->d > 1)]);
}

static void measure_slices(struct lab *l, const char *name)
{
    struct as_key key = key_of(l, KEY_SLICES, 0, 0);
    double w = as_sliced_wasserstein(l->a, l->d, l->o->samples, l->made, l->truth, DIRECTIONS, key);
    l->run->record(l->run->ctx, name, w);
    draw_points(l, name, l->made);
}

static void measure(struct lab *l, int flow)
{
    static const int steps[] = { 1, 2, 4, 8 };
    const struct as_study_run *r = l->run;
    ptrdiff_t rows = l->o->samples < STRAIGHT_ROWS ? l->o->samples : STRAIGHT_ROWS;
    const char *name[KINDS];
    for (int k = 0; k < KINDS; k++)
        name[k] = metrics[k * FLOWS + flow].name;
    for (int i = 0; i < 8; i++) {        /* Euler, then Heun, whose step takes two */
        int kind = i < 4 ? MMD : HEUN, n = steps[i % 4] * (kind == HEUN ? 2 : 1);
        double mmd = distance(l, flow, kind == HEUN ? AS_HEUN : AS_EULER, steps[i % 4]);
        r->curve(r->ctx, name[kind], n, mmd);
        if (i % 4 == 0)
            r->record(r->ctx, name[kind], mmd);
        if (i == 0)
            measure_slices(l, name[SLICED]);
    }
    r->record(r->ctx, name[STRAIGHT], flow_straightness(&l->flow[flow], l->a, rows, l->noise, STRAIGHT_STEPS));
}

/* Test data, noise to make samples of, and what other test data is apart. */
static void open_measure(struct lab *l)
{
    ptrdiff_t n = l->o->samples, size = n * l->d;
    struct as_study_run *r = l->run;
    l->mmd = (struct as_mmd){ .d = l->d, .features = 64, .octaves = 5, .width = 2, .key = key_of(l, KEY_KERNEL, 0, 0) };
    l->mean = as_arena_take(l->a, as_size(2 * (size_t)as_mmd_size(&l->mmd), sizeof *l->mean));
    l->real_mean = l->mean + as_mmd_size(&l->mmd);
    l->truth = as_arena_take(l->a, as_size(3 * (size_t)size, sizeof(real)));
    l->noise = l->truth + size;
    l->made = l->noise + size;
    l->pair_z = as_arena_take(l->a, as_size(2 * (size_t)(l->o->pairs * l->d), sizeof(real)));
    l->pair_x = l->pair_z + l->o->pairs * l->d;
    flow_noise(key_of(l, KEY_TEST, 0, 0), size, l->noise);
    take_data(l, AS_TEST, 0, n, l->truth);
    take_data(l, AS_TEST, (uint64_t)n, n, l->made);
    as_mmd_mean(&l->mmd, l->a, n, l->truth, l->real_mean);
    as_mmd_mean(&l->mmd, l->a, n, l->made, l->mean);
    r->record(r->ctx, "floor", as_mmd_between(&l->mmd, l->mean, l->real_mean));
    draw_points(l, "floor", l->made);
}

static void run(struct as_study_run *r)
{
    struct lab l = { .o = r->opt, .run = r, .a = as_arena_new(), .t = as_tape_new(), .cfg = as_config_copy(r->config) };
    open_data(&l);
    open_measure(&l);
    make_flow(&l, BASE, BASE);
    r->record(r->ctx, "exact", distance(&l, BASE, AS_HEUN, l.o->fine));
    make_pairs(&l, BASE);
    for (int flow = PLAIN; flow <= IMPROVED; flow++)
        make_flow(&l, flow, BASE);
    for (int flow = PLAIN_TWICE; flow <= IMPROVED_TWICE; flow++) {
        make_pairs(&l, flow == PLAIN_TWICE ? PLAIN : IMPROVED);
        make_flow(&l, flow, flow == PLAIN_TWICE ? PLAIN : IMPROVED);
    }
    for (int flow = 0; flow < FLOWS; flow++) {
        measure(&l, flow);
        as_model_free(l.flow[flow].m);
    }
    as_data_close(l.data);
    as_config_free(l.cfg);
    as_tape_free(l.t);
    as_arena_free(l.a);
}

static const char *const sample[] = { "data.source", "gaussian-mixture-2d", "model", "perceptron", "width", "16", NULL };

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "flows from noise to points, straightened once and twice, with the U-shape and the pseudo-Huber loss",
    .options = options, .opt_size = sizeof(struct opt), .metrics = metrics, .run = run, .sample = sample, .axes = axes,
};

const struct as_plugin AS_PLUGIN(study__rectified_flow) = { .abi = ASSAY_ABI, .study = &study };
