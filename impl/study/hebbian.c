/* hebbian.c: the multitasking Hebbian network (Agliari, Alessandrelli, Barra and Ricci-Tersenghi 2023, "Parallel learning
 * by multitasking neural networks", arXiv 2308.04106). N spins sigma = +-1, K patterns with blank entries,
 *
 *   P(xi_i = 0) = d,   P(xi_i = +-1) = (1 - d) / 2,   J_ij = 1/N sum_mu xi_i^mu xi_j^mu (i != j),
 *
 * and m_mu = 1/N sum_i xi_i^mu sigma_i. Blanks of one pattern are free for the others: with little dilution the network
 * retrieves in a hierarchy, |m_mu| = (1 - d) d^(mu - 1) without noise; with much, all patterns with about the same
 * strength. The hierarchy is stable while the first pattern wins against all others together, 1 > d + ... + d^(K-1).
 *
 * Learned couplings have seen M noisy examples a pattern, eta^(mu,a) = chi xi^mu, P(chi_i = 1) = (1 + r)/2:
 *
 *   supervised     J_ij = 1/N sum_mu (1/M sum_a eta_i^(mu,a)) (1/M sum_a eta_j^(mu,a))
 *   unsupervised   J_ij = 1/(N M) sum_mu sum_a eta_i^(mu,a) eta_j^(mu,a)
 *
 * Dynamics: Glauber, one spin after the other in a random order, sigma_i = +1 with probability
 * 1 / (1 + exp(-2 h_i / T)); at T = 0 the sign of h_i (no field: no change) until a sweep changes nothing. It starts at
 * xi^1, with random spins at its blanks.
 *
 * Measured: |m_1|, then the other |m_mu| in falling order. threshold_*: the number of examples at which |m_1| of learned
 * couplings, from the same start, reaches the share `level` of what the true patterns reach; M grows by factors of about
 * 1.4 over odd numbers (no ties) until it is reached, and the crossing is interpolated on log M.
 *
 * Departs: only the abstract could be read; equations are those of the catalogue's row. Factors that scale J as a whole
 * (the paper normalises by dilution and example quality) are left out: they change nothing at T = 0, and are part of T.
 */
#include <assay/arena.h>
#include <assay/error.h>
#include <assay/registry.h>
#include <assay/study.h>
#include <math.h>

enum { TRUTH, SUPERVISED, UNSUPERVISED };
enum { DRAW_PATTERN, DRAW_START, DRAW_ORDER, DRAW_SPIN, DRAW_EXAMPLE };

struct opt { int n, k, examples, sweeps; double d, r, noise, level; };

static const struct as_option options[] = {
    { "spins", AS_INT, offsetof(struct opt, n), 1000, 10, 1000000, NULL, "1000,4000", "N" },
    { "patterns", AS_INT, offsetof(struct opt, k), 3, 3, 64, NULL, "3,5", "K" },
    { "d", AS_NUM, offsetof(struct opt, d), 0.3, 0, 0.99, NULL, "0.1,0.3,0.5,0.9", "share of blank entries" },
    { "temperature", AS_NUM, offsetof(struct opt, noise), 0, 0, 100, NULL, "0,0.05", "T" },
    { "r", AS_NUM, offsetof(struct opt, r), 0.5, 0.01, 1, NULL, "0.3,0.5", "quality of examples" },
    { "examples", AS_INT, offsetof(struct opt, examples), 101, 3, 10001, NULL, NULL, "M, the most examples a pattern" },
    { "level", AS_NUM, offsetof(struct opt, level), 0.75, 0.01, 0.999, NULL, NULL, "share of |m_1| that counts as learned" },
    { "sweeps", AS_INT, offsetof(struct opt, sweeps), 50, 1, 100000, NULL, NULL, "most sweeps over all spins" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    { "m1", "raw", "|m| of the pattern that the start shows" },
    { "m2", "raw", "the largest of the others" },
    { "m3", "raw", "the second of the others" },
    { "ratio", "raw", "m2 / m1" },
    { "last_ratio", "raw", "the smallest of all |m| over m1" },
    { "threshold_supervised", "log", "examples that learning takes; as a curve, m1 by M" },
    { "threshold_unsupervised", "log", "examples that learning takes; as a curve, m1 by M" },
    { 0 }
};

/* J_ij ~ sum_p v_i^p v_j^p, whole numbers, so that fields are exact; c turns them into the paper's h. */
struct couplings { int p; int16_t *v; double c; };          /* v: (N, p) */

struct net {
    const struct opt *o;
    struct as_key key;
    struct as_arena *a;
    int16_t *xi;                     /* (N, K) */
    int8_t *start, *sigma;           /* (N) */
    int32_t *order;                  /* (N) */
    int64_t *overlap;                /* (p) sum_j v_j^p sigma_j */
};

static void draw_patterns(struct net *w)
{
    struct as_key at = as_subkey(w->key, DRAW_PATTERN);

    for (int i = 0; i < w->o->n * w->o->k; i++) {
        double u = (double)as_uniform(at, (uint64_t)i);

        w->xi[i] = u < w->o->d ? 0 : u < w->o->d + (1 - w->o->d) / 2 ? 1 : -1;
    }
    at = as_subkey(w->key, DRAW_START);
    for (int i = 0; i < w->o->n; i++) {
        int16_t first = w->xi[i * w->o->k];

        w->start[i] = (int8_t)(first ? first : (as_bits(at, (uint64_t)i) & 1) ? 1 : -1);
    }
}

/* From m examples a pattern; the first examples of a larger m are those of a smaller. */
static struct couplings couple(struct net *w, int kind, int m)
{
    int n = w->o->n, k = w->o->k, p = kind == UNSUPERVISED ? k * m : k;
    struct couplings j = { .p = p, .c = 1.0 / n };
    struct as_key key = as_subkey(w->key, DRAW_EXAMPLE);

    if (kind == TRUTH) {
        j.v = w->xi;
        return j;
    }
    j.c = kind == SUPERVISED ? 1.0 / ((double)n * m * m) : 1.0 / ((double)n * m);
    j.v = as_arena_zero(w->a, as_size((size_t)n * (size_t)p, sizeof *j.v));
    for (int a = 0; a < m; a++)
        for (int e = 0; e < n * k; e++) {
            uint64_t at = (uint64_t)a * (uint64_t)(n * k) + (uint64_t)e;
            int16_t eta = (int16_t)((double)as_uniform(key, at) < (1 + w->o->r) / 2 ? w->xi[e] : -w->xi[e]);

            if (kind == SUPERVISED)
                j.v[e] = (int16_t)(j.v[e] + eta);
            else
                j.v[(ptrdiff_t)(e / k) * p + (e % k) * m + a] = eta;
        }
    return j;
}

/* One spin: its new value. */
static int8_t update(const struct net *w, const struct couplings *j, int i, uint64_t draw)
{
    const int16_t *v = j->v + (ptrdiff_t)i * j->p;
    int64_t field = 0;
    double up;

    for (int p = 0; p < j->p; p++)
        field += v[p] * (w->overlap[p] - v[p] * w->sigma[i]);
    if (w->o->noise > 0) {
        up = 1 / (1 + exp(-2 * j->c * (double)field / w->o->noise));
        return (double)as_uniform(as_subkey(w->key, DRAW_SPIN), draw) < up ? 1 : -1;
    }
    return field > 0 ? 1 : field < 0 ? -1 : w->sigma[i];
}

/* Runs from the start to the end; sigma is what comes out. */
static void relax(struct net *w, const struct couplings *j)
{
    int n = w->o->n;
    int64_t changed = 1;

    w->overlap = as_arena_zero(w->a, as_size((size_t)j->p, sizeof *w->overlap));
    for (int i = 0; i < n; i++) {
        w->sigma[i] = w->start[i];
        for (int p = 0; p < j->p; p++)
            w->overlap[p] += j->v[(ptrdiff_t)i * j->p + p] * w->sigma[i];
    }
    for (int s = 0; s < w->o->sweeps && changed; s++) {
        changed = 0;
        as_shuffle(as_subkey(as_subkey(w->key, DRAW_ORDER), (uint64_t)s), n, w->order);
        for (int at = 0; at < n; at++) {
            int i = w->order[at];
            int8_t next = update(w, j, i, (uint64_t)s * (uint64_t)n + (uint64_t)at);

            if (next == w->sigma[i])
                continue;
            for (int p = 0; p < j->p; p++)
                w->overlap[p] += 2 * next * j->v[(ptrdiff_t)i * j->p + p];
            w->sigma[i] = next;
            changed++;
        }
    }
}

static double magnetisation(const struct net *w, int mu)
{
    int64_t sum = 0;

    for (int i = 0; i < w->o->n; i++)
        sum += w->xi[i * w->o->k + mu] * w->sigma[i];
    return fabs((double)sum / w->o->n);
}

/* |m_1|, then the others in falling order. */
static void magnetisations(const struct net *w, double *m)
{
    for (int mu = 0; mu < w->o->k; mu++) {
        double x = magnetisation(w, mu);
        int at = mu;

        for (; at > 1 && m[at - 1] < x; at--)
            m[at] = m[at - 1];
        m[at] = x;
    }
}

/* The number of examples at which m1 passes `goal`. */
static double threshold(struct as_study_run *r, struct net *w, int kind, double goal)
{
    const char *name = kind == SUPERVISED ? "threshold_supervised" : "threshold_unsupervised";
    double before = 0, found = 0;
    int m, last = 0;

    for (m = 1; m <= w->o->examples && found <= 0; last = m, m = (m * 7 / 5 + 1) | 1) {
        size_t mark = as_arena_mark(w->a);
        struct couplings j = couple(w, kind, m);
        double m1;

        relax(w, &j);
        as_arena_reset(w->a, mark);
        m1 = magnetisation(w, 0);
        r->curve(r->ctx, name, m, m1);
        if (m1 >= goal)
            found = last ? exp(log(last) + (log(m) - log(last)) * (goal - before) / (m1 - before)) : m;
        before = m1;
    }
    if (found <= 0)
        as_fail(AS_FAILED, "hebbian: %d examples (%s) bring m1 to %g only, and %g were asked for: raise study.examples or study.r",
                last, kind == SUPERVISED ? "supervised" : "unsupervised", before, goal);
    return found;
}

static void measure(struct as_study_run *r, struct net *w)
{
    size_t n = (size_t)w->o->n, k = (size_t)w->o->k;
    double *m = as_arena_take(w->a, k * sizeof *m);
    struct couplings truth;

    w->xi = as_arena_take(w->a, as_size(n, k * sizeof *w->xi));
    w->start = as_arena_take(w->a, n);
    w->sigma = as_arena_take(w->a, n);
    w->order = as_arena_take(w->a, as_size(n, sizeof *w->order));
    draw_patterns(w);
    truth = couple(w, TRUTH, 0);
    relax(w, &truth);
    magnetisations(w, m);
    r->record(r->ctx, "m1", m[0]);
    r->record(r->ctx, "m2", m[1]);
    r->record(r->ctx, "m3", m[2]);
    r->record(r->ctx, "ratio", m[1] / m[0]);
    r->record(r->ctx, "last_ratio", m[k - 1] / m[0]);
    r->record(r->ctx, "threshold_supervised", threshold(r, w, SUPERVISED, w->o->level * m[0]));
    r->record(r->ctx, "threshold_unsupervised", threshold(r, w, UNSUPERVISED, w->o->level * m[0]));
}

static void run(struct as_study_run *r)
{
    struct net w = { .o = r->opt, .key = { r->seed, AS_ROLE_STUDY, 0 }, .a = as_arena_new() };

    measure(r, &w);
    as_arena_free(w.a);
}

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "multitasking Hebbian network: diluted patterns, retrieved together by zero- or low-temperature dynamics",
    .options = options, .opt_size = sizeof(struct opt),
    .metrics = metrics,
    .run = run,
};

const struct as_plugin AS_PLUGIN(study__hebbian) = { .abi = ASSAY_ABI, .study = &study };
