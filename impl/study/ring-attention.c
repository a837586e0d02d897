/* ring-attention.c: does attention that is distributed over R ranks in a ring compute what one process computes, and
 * what does each rank send and hold? In double, on random q, k, v and a random cotangent; nothing is trained.
 *
 * Li et al. 2021, "Sequence parallelism: long sequence training from system perspective": N steps, each rank has N/R of
 * them. With d = batch x heads x width, a rank sends (formula = rsa)
 *
 *   forward   2 (R-1)/R N d         keys once round, values once round
 *   back      6 (R-1)/R N d         both once round again, and two all-reduces of 2 (R-1)/R N d each
 *
 * and holds its chunks and N x N/R scores. `online` (Liu et al. 2023) sends 4 (R-1)/R N d back: keys and values round,
 * and the gradients that travel with them. Counted are the numbers that pass through the mailboxes of assay/ranks.h,
 * and what ranks take of memories from which nothing else can be had.
 *
 * The single-rank form is softmax(scale Q K') V by the operators of the tape, which has its own way back.
 */
#include <assay/arena.h>
#include <assay/error.h>
#include <assay/ops.h>
#include <assay/ring.h>
#include <assay/study.h>

#include <math.h>
#include <string.h>

enum { RSA, ONLINE };
enum { Q, K, V, DY, ARRAYS };

struct opt { int ranks, form, time, batch, heads, width; };

static const struct as_option options[] = {
    { .key = "ranks", .type = AS_INT, .offset = offsetof(struct opt, ranks), .def = 4, .min = 1, .max = AS_MAX_RANKS,
      .sweep = "1,2,4,8", .help = "R, ranks" },
    { .key = "form", .type = AS_WORD, .offset = offsetof(struct opt, form), .def = RSA, .words = "rsa|online",
      .sweep = "rsa,online", .help = "whole rows of scores in two passes, or the softmax carried along in one" },
    { .key = "time", .type = AS_INT, .offset = offsetof(struct opt, time), .def = 32, .min = 1, .max = 1 << 16,
      .sweep = "256,1024", .help = "N, steps; a multiple of ranks" },
    { .key = "batch", .type = AS_INT, .offset = offsetof(struct opt, batch), .def = 1, .min = 1, .max = 1024,
      .help = "sequences" },
    { .key = "heads", .type = AS_INT, .offset = offsetof(struct opt, heads), .def = 2, .min = 1, .max = 1024,
      .help = "heads" },
    { .key = "width", .type = AS_INT, .offset = offsetof(struct opt, width), .def = 8, .min = 1, .max = 4096,
      .help = "width of a head's queries, keys and values" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    { "output_error", "raw", "largest difference of an output over the largest output" },
    { "gradient_error", "raw", "largest difference of a gradient of q, k or v over the largest of that gradient" },
    { "forward_sent", "raw", "numbers that a rank sends forward, mean over ranks" },
    { "back_sent", "raw", "numbers that a rank sends on the way back, mean over ranks" },
    { "forward_off", "raw", "largest difference of any rank's numbers sent forward from the formula" },
    { "back_off", "raw", "largest difference of any rank's numbers sent on the way back from the formula" },
    { "bytes", "raw", "sent by a rank both ways, mean over ranks, at 4 bytes a number" },
    { "messages", "raw", "that a rank sends both ways, mean over ranks" },
    { "supersteps", "raw", "both ways" },
    { "forward_peak", "log", "most numbers that any rank holds forward" },
    { "peak", "log", "most numbers that any rank holds, both ways" },
    { 0 }
};

struct attention {
    const struct opt *o;
    ptrdiff_t n;                             /* numbers in q: batch x time x heads x width */
    double scale;
    real *x[ARRAYS];                         /* (batch, time, heads, width) */
    real *y[2], *dx[2][3];                   /* of the tape, of the ring */
};

static void draw(struct attention *a, struct as_arena *arena, uint64_t seed)
{
    const struct opt *o = a->o;

    a->n = (ptrdiff_t)o->batch * o->time * o->heads * o->width;
    a->scale = 1 / sqrt((double)o->width);
    for (int i = 0; i < ARRAYS; i++) {
        struct as_key key = { seed, AS_ROLE_STUDY, (uint64_t)i };

        a->x[i] = as_arena_take(arena, as_size((size_t)a->n, sizeof(real)));
        for (ptrdiff_t j = 0; j < a->n; j++)
            a->x[i][j] = (real)as_normal(key, (uint64_t)j);
    }
    for (int i = 0; i < 2; i++) {
        a->y[i] = as_arena_zero(arena, as_size((size_t)a->n, sizeof(real)));
        for (int j = 0; j < 3; j++)
            a->dx[i][j] = as_arena_zero(arena, as_size((size_t)a->n, sizeof(real)));
    }
}

/* softmax(scale Q K') V and its gradients, by the tape. */
static void alone(struct attention *a)
{
    const struct opt *o = a->o;
    ptrdiff_t dims[] = { o->batch, o->time, o->heads, o->width };
    struct as_tape *t = as_tape_new();
    struct as_node *in[3], *p, *y;

    for (int i = 0; i < 3; i++)
        in[i] = as_swap(t, as_node_wrap(t, 4, dims, a->x[i], a->dx[0][i]), 1, 2);
    p = as_softmax(t, as_scale(t, as_bmm(t, in[Q], false, in[K], true), a->scale));
    y = as_swap(t, as_bmm(t, p, false, in[V], false), 1, 2);
    memcpy(a->y[0], y->x, (size_t)a->n * sizeof(real));
    as_backward(t, as_sum_all(t, as_mul(t, y, as_node_wrap(t, 4, dims, a->x[DY], NULL))), R(1.0));
    as_tape_free(t);
}

static double apart(const struct attention *a, const real *mine, const real *truth)
{
    double most = 0, size = 0;

    for (ptrdiff_t j = 0; j < a->n; j++) {
        most = fmax(most, fabs((double)mine[j] - (double)truth[j]));
        size = fmax(size, fabs((double)truth[j]));
    }
    return most / size;
}

/* What was counted one way. */
struct tally { double sent, off, messages, peak; };

static struct tally tally(const struct as_ranks *w, double formula)
{
    struct tally t = { 0 };

    for (int r = 0; r < w->n; r++) {
        t.sent += w->rank[r].sent / w->n;
        t.messages += w->rank[r].messages / w->n;
        t.off = fmax(t.off, fabs(w->rank[r].sent - formula));
        t.peak = fmax(t.peak, (double)w->rank[r].peak);
    }
    return t;
}

static void run(struct as_study_run *run)
{
    const struct opt *o = run->opt;
    struct as_arena *arena = as_arena_new();
    struct attention a = { .o = o };
    struct as_ring z = { .ranks = o->ranks, .online = o->form == ONLINE, .batch = o->batch, .time = o->time,
                         .heads = o->heads, .dk = o->width, .dv = o->width };
    double pass, error = 0;
    struct as_ranks *w = as_arena_take(arena, sizeof *w);
    struct tally there, back;
    long supersteps;
    real *memory;

    if (o->time % o->ranks != 0)
        as_fail(AS_REFUSED, "ring-attention: %d steps cannot be cut into %d chunks of one length, which the formulas "
                            "are for; set time to a multiple of ranks", o->time, o->ranks);
    draw(&a, arena, run->seed);
    alone(&a);
    z.scale = a.scale;
    pass = (double)a.n / o->ranks * (o->ranks - 1);      /* one array once round: (R-1)/R N d */
    memory = as_arena_take(arena, as_size(as_size((size_t)o->ranks, (size_t)as_ring_room(&z, true)), sizeof(real)));
    as_ring_forward(&z, w, true, a.x[Q], a.x[K], a.x[V], a.y[1], memory);
    there = tally(w, 2 * pass);
    supersteps = w->supersteps;
    as_ring_backward(&z, w, a.x[DY], a.dx[1][Q], a.dx[1][K], a.dx[1][V], memory);
    back = tally(w, (o->form == ONLINE ? 4 : 6) * pass);
    for (int i = 0; i < 3; i++)
        error = fmax(error, apart(&a, a.dx[1][i], a.dx[0][i]));
    run->record(run->ctx, "output_error", apart(&a, a.y[1], a.y[0]));
    run->record(run->ctx, "gradient_error", error);
    run->record(run->ctx, "forward_sent", there.sent);
    run->record(run->ctx, "back_sent", back.sent);
    run->record(run->ctx, "forward_off", there.off);
    run->record(run->ctx, "back_off", back.off);
    run->record(run->ctx, "bytes", 4 * (there.sent + back.sent));
    run->record(run->ctx, "messages", there.messages + back.messages);
    run->record(run->ctx, "supersteps", (double)(supersteps + w->supersteps));
    run->record(run->ctx, "forward_peak", there.peak);
    run->record(run->ctx, "peak", fmax(there.peak, back.peak));
    as_arena_free(arena);
}

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "attention over ranks in a ring against one process: outputs, gradients, numbers sent and held",
    .options = options, .opt_size = sizeof(struct opt),
    .metrics = metrics,
    .run = run,
    .in_double = true,
};

const struct as_plugin AS_PLUGIN(study__ring_attention) = { .abi = ASSAY_ABI, .study = &study };
