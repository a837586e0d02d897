/* parallel.c: the team, the denormal policy and the processor level.
 *
 * Team. The calling thread's OpenMP count stays at 1, and only the region below names the real team size, by its
 * num_threads clause. That clause does not change what the members inherit, so every library called inside a
 * piece, or between regions, sees one thread. A thread that we did not set up is put right when it first comes.
 *
 * Denormals. One policy: they are zero, on the way in and on the way out (FTZ and DAZ in x86's MXCSR, FZ in
 * aarch64's FPCR). Each thread is set before its first piece; at every later region it is checked, and a library
 * that changed it is a failure, because results would then depend on which thread ran what.
 */
#include "parallel_private.h"
#include <assay/error.h>
#include <assay/parallel.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A region costs some microseconds; work below this many operations is done sooner by one thread. */
#define INLINE_COST 30000.0
/* Pieces above it are taken one by one, so that the members end together; smaller ones in handfuls. */
#define LARGE_COST 4000.0

static int asked = 1;                           /* until as_threads_set(): one thread */
static _Thread_local bool prepared;
static atomic_bool no_memory;                   /* a piece found no memory; raised after its region */

/* ---- Denormals ---- */

#if defined(__x86_64__)
#define FLUSH 0x8040U                           /* MXCSR: flush to zero (bit 15), denormals are zero (bit 6) */

static bool flushes(void)
{
    return (__builtin_ia32_stmxcsr() & FLUSH) == FLUSH;
}

static void set_flush(void)
{
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | FLUSH);
}
#elif defined(__aarch64__)
#define FLUSH (UINT64_C(1) << 24)               /* FPCR.FZ */

static bool flushes(void)
{
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return (fpcr & FLUSH) != 0;
}

static void set_flush(void)
{
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr | FLUSH));
}
#else
/* No common switch: all threads keep what the processor does, which is one policy too. */
static bool flushes(void)
{
    return true;
}

static void set_flush(void)
{
}
#endif

/* Puts the calling thread right at its first piece. False: the policy was there and somebody took it away. */
static bool prepare(void)
{
    if (!prepared) {
        set_flush();
        prepared = true;
    }
    if (omp_get_max_threads() != 1)
        omp_set_num_threads(1);
    return flushes();
}

/* ---- The team ---- */

void as_parallel_no_memory(void)
{
    atomic_store(&no_memory, true);
}

int as_parallel_member(void)
{
    return omp_get_thread_num();
}

/* After the pieces, outside a region: raises what they could not. */
static void check_after(bool kept)
{
    if (atomic_load_explicit(&no_memory, memory_order_relaxed) && atomic_exchange(&no_memory, false))
        as_fail(AS_NO_MEMORY, "no memory for the scratch of a matrix product");
    if (!kept) {
        prepared = false;                       /* a retry starts clean */
        as_fail(AS_FAILED, "a thread no longer treats denormal numbers as zero: a library changed the floating-point "
                           "control word; results would depend on the number of threads");
    }
}

/* Each member has its share of the pieces, the same in each region that has as many, and takes from the others' when it
 * has ended its own. So what a member wrote in one operator it mostly reads in the next, from its own processor's caches:
 * members may have no cache in common. In a team larger than MOST_SHARES some begin with the same one. */
#define MOST_SHARES 64

struct share { _Alignas(64) atomic_ptrdiff_t next; ptrdiff_t end; };

/* Pieces of a share until it has none, `grain` at a time. */
static void take_share(struct share *s, ptrdiff_t grain, void (*piece)(void *ctx, ptrdiff_t i), void *ctx)
{
    ptrdiff_t from;
    while ((from = atomic_fetch_add_explicit(&s->next, grain, memory_order_relaxed)) < s->end)
        for (ptrdiff_t i = from; i < from + grain && i < s->end; i++)
            piece(ctx, i);
}

void as_parallel(ptrdiff_t n, double cost, void (*piece)(void *ctx, ptrdiff_t i), void *ctx)
{
    if (n <= 0)
        return;
    if (n == 1 || asked == 1 || cost < INLINE_COST || omp_in_parallel()) {
        bool kept = prepare();
        for (ptrdiff_t i = 0; i < n; i++)
            piece(ctx, i);
        if (!omp_in_parallel())                 /* nested: the region around it checks */
            check_after(kept);
        return;
    }
    int team = n < asked ? (int)n : asked;
    ptrdiff_t grain = cost / (double)n > LARGE_COST ? 1 : n / ((ptrdiff_t)team * 8) + 1;      /* changes no bits */
    int kept = 1;
    check_after(prepare());
    struct share share[MOST_SHARES];
    int shares = team < MOST_SHARES ? team : MOST_SHARES;
    for (int m = 0; m < shares; m++) {
        atomic_init(&share[m].next, n * m / shares);
        share[m].end = n * (m + 1) / shares;
    }
#pragma omp parallel num_threads(team) reduction(&& : kept)
    {
        kept = prepare();
        for (int m = 0; m < shares; m++)
            take_share(&share[(as_parallel_member() + m) % shares], grain, piece, ctx);
    }
    check_after(kept);
}

/* ---- A chain ---- */

#define CHAIN_TEAM 16                           /* members that can be of use beside one chain */

struct chain {
    ptrdiff_t n;
    int lanes;
    bool piece_first;
    void (*piece)(void *ctx, int lane, ptrdiff_t i);
    void (*link)(void *ctx, ptrdiff_t i);
    void *ctx;
    pthread_mutex_t lock;                       /* of all that follows */
    ptrdiff_t given[AS_CHAIN_LANES], links;     /* pieces of each lane, and links, handed out */
    bool busy[AS_CHAIN_LANES], linking;         /* the last one handed out is under way */
};

enum task { WAIT, PIECE, LINK, END };

/* Every lane has ended its piece i. */
static bool pieces_done(const struct chain *c, ptrdiff_t i)
{
    for (int l = 0; l < c->lanes; l++)
        if (c->given[l] - c->busy[l] <= i)
            return false;
    return true;
}

/* What a member without work does next: its lane and number. The chain goes first, since all else has time until it
 * ends; then the lane that is furthest behind. */
static enum task next_task(struct chain *c, int *lane, ptrdiff_t *i)
{
    ptrdiff_t ready = c->piece_first ? c->n : c->links - c->linking;
    bool all = c->links == c->n;

    if (!c->linking && c->links < c->n && (!c->piece_first || pieces_done(c, c->links))) {
        *i = c->links++;
        c->linking = true;
        return LINK;
    }
    *lane = -1;
    for (int l = 0; l < c->lanes; l++) {
        if (!c->busy[l] && c->given[l] < ready && (*lane < 0 || c->given[l] < c->given[*lane]))
            *lane = l;
        all = all && c->given[l] == c->n;
    }
    if (*lane < 0)
        return all ? END : WAIT;
    *i = c->given[*lane]++;
    c->busy[*lane] = true;
    return PIECE;
}

static void follow_chain(struct chain *c)
{
    ptrdiff_t i = 0;
    int lane = 0;
    enum task t = WAIT;

    do {
        pthread_mutex_lock(&c->lock);
        if (t == PIECE)
            c->busy[lane] = false;
        if (t == LINK)
            c->linking = false;
        t = next_task(c, &lane, &i);
        pthread_mutex_unlock(&c->lock);
        if (t == PIECE)
            c->piece(c->ctx, lane, i);
        else if (t == LINK)
            c->link(c->ctx, i);
        else if (t == WAIT)
            sched_yield();
    } while (t != END);
}

static void follow_alone(const struct chain *c)
{
    for (ptrdiff_t i = 0; i < c->n; i++) {
        if (!c->piece_first)
            c->link(c->ctx, i);
        for (int l = 0; l < c->lanes; l++)
            c->piece(c->ctx, l, i);
        if (c->piece_first)
            c->link(c->ctx, i);
    }
}

void as_chain(ptrdiff_t n, int lanes, double cost, void (*piece)(void *ctx, int lane, ptrdiff_t i),
              void (*link)(void *ctx, ptrdiff_t i), int piece_first, void *ctx)
{
    struct chain c = { .n = n, .lanes = lanes, .piece_first = piece_first, .piece = piece, .link = link, .ctx = ctx };
    bool alone = asked == 1 || n <= 1 || cost < INLINE_COST || omp_in_parallel();
    int team = asked < CHAIN_TEAM ? asked : CHAIN_TEAM, kept;

    if (lanes < 0 || lanes > AS_CHAIN_LANES)
        as_fail(AS_FAILED, "a chain of %d lanes; at most %d are possible", lanes, AS_CHAIN_LANES);
    kept = prepare();
    if (n <= 0)
        return;
    if (alone) {
        follow_alone(&c);
        if (!omp_in_parallel())
            check_after(kept);
        return;
    }
    check_after(kept);
    pthread_mutex_init(&c.lock, NULL);
#pragma omp parallel num_threads(team) reduction(&& : kept)
    {
        kept = prepare();
        follow_chain(&c);
    }
    pthread_mutex_destroy(&c.lock);
    check_after(kept);
}

void as_threads_set(int n)
{
    if (n < 1)
        as_fail(AS_REFUSED, "%d threads: at least one is needed", n);
    asked = n;
    omp_set_dynamic(0);
    omp_set_max_active_levels(1);
    (void)as_threads_seen();
}

int as_threads(void)
{
    return asked;
}

int as_threads_seen(void)
{
    int seen = 0, kept = 1;
    prepare();
#pragma omp parallel num_threads(asked) reduction(&& : kept) reduction(+ : seen)
    {
        kept = prepare();
        seen = 1;
    }
    check_after(kept);
    return seen;
}

/* ---- The processor level ---- */

static const char *const level_names[] = { "portable", "avx2", "avx512" };
static pthread_once_t level_once = PTHREAD_ONCE_INIT;
static enum as_level level;
static const char *refusal;

static enum as_level processor_level(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
        return AS_AVX512;
    if (avx2)
        return AS_AVX2;
#endif
    return AS_PORTABLE;
}

static void read_level(void)
{
    static char sentence[160];                  /* stays: as_say() would recycle it */
    enum as_level has = processor_level();
    const char *want = getenv("ASSAY_ISA");
    level = has;
    if (!want || !*want)
        return;
    for (int i = AS_PORTABLE; i <= AS_AVX512; i++)
        if (strcmp(want, level_names[i]) == 0) {
            if (i <= (int)has)
                level = (enum as_level)i;
            else
                refusal = strcpy(sentence, as_say("ASSAY_ISA=%s: this processor has %s at most; unset it or set it "
                                                  "lower", level_names[i], level_names[has]));
            return;
        }
    refusal = strcpy(sentence, as_say("ASSAY_ISA=%.40s is unknown; it can be portable, avx2 or avx512", want));
}

enum as_level as_level(void)
{
    pthread_once(&level_once, read_level);
    return level;
}

const char *as_level_name(enum as_level l)
{
    return l >= AS_PORTABLE && l <= AS_AVX512 ? level_names[l] : "unknown";
}

const char *as_level_refusal(void)
{
    pthread_once(&level_once, read_level);
    return refusal;
}
