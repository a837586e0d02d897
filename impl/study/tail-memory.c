/* tail-memory.c: which optimiser learns rare facts, when all have learned equally much on the whole?
 *
 * Wang et al. 2025, "Muon outperforms Adam in tail-end associative memory learning", section 5. One linear memory W
 * (d, d), from W = 0, of n facts E_i -> U_i with frequencies p_i ~ 1 / i^s:
 *     f_ij = softmax_j(U_j . W E_i),    L(W) = -sum_i p_i log f_ii,    dL/dW = sum_ij p_i (f_ij - 1{i = j}) U_j E_i'
 * A rule gets the whole gradient, at the rate at which L falls to `loss` in `steps` steps, found by bisection, so that
 * all rules are compared at one loss and after one time: this problem is convex, and the rates that are fastest get
 * there in a step or a few, where nothing of the rules' own course is seen.
 * Measured at one and the same mean loss: where L first falls below `loss`, W is moved back along its last step until L
 * equals it. `tail_accuracy` is the share of the rarer half of the facts whose object comes first; the spectrum of W is
 * that of an even memory when its squares q_i = sigma_i^2 / sum sigma^2 have normalised entropy 1.
 * Departs: the paper's theorem is on one step, orthonormal embeddings and rules without momentum; here are many steps,
 * rules as they are used, and embeddings that are orthonormal or correlated: of unit length, from sqrt(rho) common +
 * sqrt(1 - rho) own, both normal. Its experiments with Transformers are not done here.
 */
#include <assay/kernel.h>
#include <assay/matrix.h>
#include <assay/registry.h>
#include <assay/rule.h>
#include <assay/study.h>
#include <string.h>
#include <tgmath.h>

enum { MUON, ADAM, SGD };
enum { ORTHOGONAL, CORRELATED };
enum { TRIES = 30, BISECTIONS = 50 };

struct opt { int rule, facts, width, embedding, steps; double exponent, correlation, loss; };

static const struct as_option options[] = {
    { "rule", AS_WORD, offsetof(struct opt, rule), MUON, 0, 0, "muon|adam|sgd", "muon,adam,sgd", "what moves W" },
    { "facts", AS_INT, offsetof(struct opt, facts), 24, 4, 1024, NULL, "64,128", "n: facts" },
    { "width", AS_INT, offsetof(struct opt, width), 24, 2, 1024, NULL, "32,64", "d: of the embeddings" },
    { "exponent", AS_NUM, offsetof(struct opt, exponent), 1, 0, 4, NULL, "0,1", "s of Zipf's law; 0: all alike" },
    { "embedding", AS_WORD, offsetof(struct opt, embedding), CORRELATED, 0, 0, "orthogonal|correlated", NULL,
      "how E and U are drawn" },
    { "correlation", AS_NUM, offsetof(struct opt, correlation), 0.5, 0, 0.99, NULL, "0,0.5",
      "rho: mean cosine of two correlated embeddings" },
    { "loss", AS_NUM, offsetof(struct opt, loss), 0.5, 0.001, 10, NULL, "0.25,0.5,1", "of the comparison, in nats" },
    { "steps", AS_INT, offsetof(struct opt, steps), 100, 5, 1000000, NULL, "30,100,300", "to that loss" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    { "tail_accuracy", "raw", "share of the rarer half of the facts recalled, at equal mean loss; as a curve: by step" },
    { "tail_loss", "raw", "mean loss of the rarer half in nats, at equal mean loss" },
    { "class_loss", "raw", "largest loss of a fact in nats, at equal mean loss; as a curve: all, by frequency rank" },
    { "entropy", "raw", "normalised entropy of the squared singular values of W, at equal mean loss" },
    { "singular_value", "raw", "largest singular value of W, at equal mean loss; as a curve: all, over the largest" },
    { "mean_loss", "raw", "the mean loss at which all this was measured, in nats" },
    { "steps_needed", "log", "steps to that loss; more than the steps asked for where it is not reached" },
    { "reached", "raw", "1 when some rate reached the loss in time" },
    { "rate", "log", "the rate that does" },
    { 0 }
};

struct memory {
    const struct opt *o;
    uint64_t seed;
    ptrdiff_t n, d;
    real *E, *U;                     /* (n, d) */
    real *W, *before, *mixed, *G;    /* (d, d); before: one step ago */
    real *H, *T;                     /* (n, d) */
    real *Z;                         /* (n, n): logits, then p_i (f_ij - 1{i = j}) */
    real *moment[AS_MAX_MOMENTS];    /* (d, d) */
    double *p, *loss, *first;        /* (n); first: 1 when the object of fact i comes first */
    const struct as_rule *rule;
    void *rule_opt;
};

static double dot(ptrdiff_t d, const double *x, const double *y)
{
    double sum = 0;
    while (d-- > 0)
        sum += x[d] * y[d];
    return sum;
}

/* Unit rows X (n, d); twice through Gram-Schmidt when they are to be orthogonal. row: (n, d). */
static void draw_embeddings(const struct memory *m, struct as_key key, double *row, real *X)
{
    double rho = m->o->embedding == CORRELATED ? m->o->correlation : 0;
    uint64_t d = (uint64_t)m->d;
    for (ptrdiff_t i = 0; i < m->n; i++) {
        double *x = row + i * m->d;
        for (uint64_t j = 0; j < d; j++)
            x[j] = sqrt(rho) * (double)as_normal(key, j) +
                   sqrt(1 - rho) * (double)as_normal(key, (uint64_t)(i + 1) * d + j);
        for (ptrdiff_t k = 0; k < 2 * i && m->o->embedding == ORTHOGONAL; k++) {
            const double *y = row + k % i * m->d;
            double share = dot(m->d, x, y);
            for (ptrdiff_t j = 0; j < m->d; j++)
                x[j] -= share * y[j];
        }
        double length = sqrt(dot(m->d, x, x));
        for (ptrdiff_t j = 0; j < m->d; j++) {
            x[j] /= length;
            X[i * m->d + j] = (real)x[j];
        }
    }
}

/* The mean loss at W; loss, first and Z are filled. */
static double recall(struct memory *m, const real *W)
{
    ptrdiff_t n = m->n, d = m->d;
    double mean = 0;
    as_gemm(0, 1, n, d, d, R(1.0), m->E, d, W, d, R(0.0), m->H, d);          /* H_i = W E_i */
    as_gemm(0, 1, n, n, d, R(1.0), m->H, d, m->U, d, R(0.0), m->Z, n);
    for (ptrdiff_t i = 0; i < n; i++) {
        real *z = m->Z + i * n, highest = z[0], own = z[i], other = -(real)INFINITY;
        double sum = 0;
        for (ptrdiff_t j = 0; j < n; j++) {
            highest = z[j] > highest ? z[j] : highest;
            other = j != i && z[j] > other ? z[j] : other;
        }
        for (ptrdiff_t j = 0; j < n; j++)
            z[j] -= highest;
        as_vexp(n, z, z);
        for (ptrdiff_t j = 0; j < n; j++)
            sum += (double)z[j];
        m->loss[i] = log(sum) - (double)(own - highest);
        m->first[i] = own > other;
        mean += m->p[i] * m->loss[i];
        for (ptrdiff_t j = 0; j < n; j++)
            z[j] = (real)(m->p[i] * ((double)z[j] / sum - (i == j)));
    }
    return mean;
}

static void step_rule(struct memory *m, double rate, long step, struct as_key key)
{
    ptrdiff_t n = m->n, d = m->d;
    struct as_update u = { .opt = m->rule_opt, .name = "W", .kind = AS_MATRIX, .rank = 2, .dim = (ptrdiff_t[]){ d, d },
                           .n = d * d, .w = m->W, .g = m->G, .moment = m->moment, .rate = rate, .step = step,
                           .key = key };
    as_gemm(0, 0, n, d, n, R(1.0), m->Z, n, m->U, d, R(0.0), m->T, d);
    as_gemm(1, 0, d, d, n, R(1.0), m->T, d, m->E, d, R(0.0), m->G, d);
    memcpy(m->before, m->W, (size_t)(d * d) * sizeof *m->W);
    m->rule->update(&u);
}

static double share_of(ptrdiff_t from, ptrdiff_t to, const double *x)
{
    double sum = 0;
    for (ptrdiff_t i = from; i < to; i++)
        sum += x[i] / (double)(to - from);
    return sum;
}

/* From W = 0 until the mean loss is not above the one asked for; returns the steps, or -1 where it takes too many. run:
 * NULL, or where the curve goes. */
static long train(struct memory *m, double rate, struct as_study_run *run, double *loss)
{
    size_t bytes = (size_t)(m->d * m->d) * sizeof(real);
    memset(m->W, 0, bytes);
    memset(m->before, 0, bytes);
    for (int k = 0; k < AS_MAX_MOMENTS; k++)
        memset(m->moment[k], 0, bytes);
    for (long step = 0;; step++) {
        *loss = recall(m, m->W);
        if (run)
            run->curve(run->ctx, "tail_accuracy", (double)step, share_of(m->n / 2, m->n, m->first));
        if (*loss <= m->o->loss)
            return step;
        if (step == m->o->steps || !(*loss < 1e3))
            return -1;
        step_rule(m, rate, step + 1, (struct as_key){ m->seed, AS_ROLE_RULE, 0 });
    }
}

/* The lowest rate that arrives in time, as far as bisection finds it; the last one tried when none does. */
static double find_rate(struct memory *m)
{
    double high = 1e-4, low = 0, loss;
    for (int k = 0; k < TRIES && train(m, high, NULL, &loss) < 0; k++) {
        low = high;
        high *= 2;
    }
    for (int k = 0; k < TRIES / 2 && low > 0; k++) {
        double middle = sqrt(low * high);
        *(train(m, middle, NULL, &loss) < 0 ? &low : &high) = middle;
    }
    return high;
}

/* W back along its last step until the mean loss is the one asked for; loss, first and mixed are filled. */
static double meet(struct memory *m)
{
    double at = 1, below = 0, above = 1, loss = 0;
    for (int k = 0; k < BISECTIONS; k++) {
        at = 0.5 * (below + above);
        for (ptrdiff_t i = 0; i < m->d * m->d; i++)
            m->mixed[i] = (real)((1 - at) * (double)m->before[i] + at * (double)m->W[i]);
        loss = recall(m, m->mixed);
        *(loss > m->o->loss ? &below : &above) = at;
    }
    return loss;
}

static void measure(struct memory *m, struct as_study_run *r, double *a, double *s)
{
    ptrdiff_t n = m->n, d = m->d;
    double worst = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        worst = fmax(worst, m->loss[i]);
        r->curve(r->ctx, "class_loss", (double)(i + 1), m->loss[i]);
    }
    for (ptrdiff_t i = 0; i < d * d; i++)
        a[i] = (double)m->mixed[i];
    if (!as_singular_values(d, d, a, s))
        as_fail(AS_DIVERGED, "the singular values of W could not be found: it holds what is not a number");
    for (ptrdiff_t i = 0; i < d; i++)
        r->curve(r->ctx, "singular_value", (double)(i + 1), s[0] > 0 ? s[i] / s[0] : 0);
    r->record(r->ctx, "tail_accuracy", share_of(n / 2, n, m->first));
    r->record(r->ctx, "tail_loss", share_of(n / 2, n, m->loss));
    r->record(r->ctx, "class_loss", worst);
    r->record(r->ctx, "entropy", as_spectral_entropy(d, s));
    r->record(r->ctx, "singular_value", s[0]);
}

static void *reals(struct as_arena *a, ptrdiff_t n) { return as_arena_zero(a, as_size((size_t)n, sizeof(real))); }
static void *doubles(struct as_arena *a, ptrdiff_t n) { return as_arena_zero(a, as_size((size_t)n, sizeof(double))); }

/* The rule with its defaults: what is compared is what one gets by its name. */
static void take_rule(struct memory *m, struct as_arena *a)
{
    static const char *const name[] = { "rule/muon", "rule/adam", "rule/sgd" };
    const struct as_entry *e = as_registry_find("rule", name[m->o->rule], NULL);
    struct as_config *cfg = as_config_new();
    if (!e)
        as_fail(AS_REFUSED, "there is no %s in this program", name[m->o->rule]);
    m->rule = e->plugin->rule;
    m->rule_opt = as_arena_zero(a, m->rule->opt_size + 1);
    const char *why = as_options_read(m->rule->options, m->rule_opt, m->rule->opt_size, cfg, "rule");
    as_config_free(cfg);
    if (why)
        as_fail(AS_REFUSED, "%s", why);
}

static void run(struct as_study_run *r)
{
    const struct opt *o = r->opt;
    struct as_arena *a = as_arena_new();
    ptrdiff_t n = o->facts, d = o->width;
    struct memory m = { .o = o, .seed = r->seed, .n = n, .d = d, .E = reals(a, n * d), .U = reals(a, n * d),
                        .W = reals(a, d * d), .before = reals(a, d * d), .mixed = reals(a, d * d),
                        .G = reals(a, d * d), .H = reals(a, n * d), .T = reals(a, n * d), .Z = reals(a, n * n),
                        .p = doubles(a, n), .loss = doubles(a, n), .first = doubles(a, n) };
    double *row = doubles(a, n * d), *square = doubles(a, d * d), *s = doubles(a, d), sum = 0, loss;
    if (o->embedding == ORTHOGONAL && n > d)
        as_fail(AS_REFUSED, "study.facts = %td orthogonal embeddings do not fit into study.width = %td", n, d);
    for (int k = 0; k < AS_MAX_MOMENTS; k++)
        m.moment[k] = reals(a, d * d);
    for (ptrdiff_t i = 0; i < n; i++)
        sum += m.p[i] = pow((double)(i + 1), -o->exponent);
    for (ptrdiff_t i = 0; i < n; i++)
        m.p[i] /= sum;
    take_rule(&m, a);
    draw_embeddings(&m, (struct as_key){ r->seed, AS_ROLE_STUDY, 1 }, row, m.E);
    draw_embeddings(&m, (struct as_key){ r->seed, AS_ROLE_STUDY, 2 }, row, m.U);
    double rate = find_rate(&m);
    long steps = train(&m, rate, r, &loss);
    memcpy(m.mixed, m.W, (size_t)(d * d) * sizeof *m.W);
    if (steps > 0)
        loss = meet(&m);
    if (!(loss < 1e3))
        as_fail(AS_DIVERGED, "at rate %g the mean loss became %g", rate, loss);
    measure(&m, r, square, s);
    r->record(r->ctx, "mean_loss", loss);
    r->record(r->ctx, "steps_needed", steps >= 0 ? fmax(1, (double)steps) : o->steps + 1);
    r->record(r->ctx, "reached", steps >= 0);
    r->record(r->ctx, "rate", rate);
    as_arena_free(a);
}

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "a linear memory of facts with Zipf's frequencies: what is recalled of the rare ones, at equal mean loss",
    .options = options, .opt_size = sizeof(struct opt),
    .metrics = metrics,
    .run = run,
    .axes = (const char *const[]){ "class_loss", "rank by frequency", "singular_value", "rank by size", NULL },
};

const struct as_plugin AS_PLUGIN(study__tail_memory) = { .abi = ASSAY_ABI, .study = &study };
