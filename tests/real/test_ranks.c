/* test_ranks.c: ranks as data: messages come when they are due and not before, are counted, and what is not allowed is
 * refused; collectives give sums that were made here; and attention over a ring gives what one row after the other
 * does, in chunks of unlike lengths, with padding, with more ranks than steps.
 */
#include <assay/error.h>
#include <assay/random.h>
#include <assay/ring.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

enum { TAG = 7 };

static void messages(void **state)
{
    real memory[2 * 20] = { 0 }, *x[2];
    struct as_ranks w;

    (void)state;
    as_ranks_open(&w, 2, 20, memory);
    for (int r = 0; r < 2; r++) {
        x[r] = as_rank_take(&w, r, 3);
        for (int i = 0; i < 3; i++)
            x[r][i] = (real)(10 * r + i);
    }
    as_ranks_mail(&w, 3);
    as_rank_send(&w, 0, 1, TAG, 3, x[0]);
    x[0][0] = 99;                            /* a message is what it was when it was sent */
    as_ranks_deliver(&w);
    assert_true(as_rank_read(&w, 1, 0, TAG, 3)[0] < 1);
    as_rank_send(&w, 1, 0, TAG, 2, x[1] + 1);
    assert_true(as_rank_read(&w, 1, 0, TAG, 3)[2] > 1);
    as_ranks_deliver(&w);
    assert_true(as_rank_read(&w, 0, 1, TAG, 2)[1] > 11);
    assert_int_equal((int)w.rank[0].sent, 3);
    assert_int_equal((int)w.rank[1].sent, 2);
    assert_int_equal((int)w.rank[1].messages, 1);
    assert_int_equal(w.supersteps, 2);
    as_rank_take(&w, 0, 4);
    as_rank_release(&w, 0, as_rank_take(&w, 0, 7));
    assert_int_equal(w.rank[0].held, 3 + 2 * 3 + 4);
    assert_int_equal(w.rank[0].peak, 3 + 2 * 3 + 4 + 7);
}

/* What a rank must not do: 0 reads what was not sent, 1 sends to itself, 2 sends what is not its own, 3 sends what was
 * given back, 4 fills a mailbox, 5 takes too much, 6 reads another size, 7 reads what was not delivered, 8 sends
 * twice. */
static void forbidden(void *ctx)
{
    real memory[2 * 20] = { 0 }, other[3] = { 0 }, *x;
    struct as_ranks w;
    int what = *(int *)ctx;

    as_ranks_open(&w, 2, 20, memory);
    x = as_rank_take(&w, 0, 4);
    as_ranks_mail(&w, 3);
    if (what == 5)
        as_rank_take(&w, 0, 11);
    if (what == 3) {
        real *more = as_rank_take(&w, 0, 2);

        as_rank_release(&w, 0, more);
        x = more;
    }
    as_rank_send(&w, 0, what == 1 ? 0 : 1, TAG, what == 4 ? 4 : 2, what == 2 ? other : x);
    if (what == 8)
        as_rank_send(&w, 0, 1, TAG, 1, x);
    if (what != 7)
        as_ranks_deliver(&w);
    as_rank_read(&w, what == 0 ? 0 : 1, what == 0 ? 1 : 0, TAG, what == 6 ? 3 : 2);
}

static void refusals(void **state)
{
    (void)state;
    for (int what = 0; what <= 9; what++)
        assert_int_equal(as_try(forbidden, &what), what <= 8 ? AS_FAILED : AS_OK);
}

static void collectives(void **state)
{
    enum { N = 5, LONG = 13, ROOM = LONG + 2 * 6 };
    const ptrdiff_t cut[N + 1] = { 0, 3, 3, 7, 12, LONG };
    real memory[N * ROOM], *x[N];
    struct as_ranks w;

    (void)state;
    as_ranks_open(&w, N, ROOM, memory);
    for (int r = 0; r < N; r++) {
        x[r] = as_rank_take(&w, r, LONG);
        for (int i = 0; i < LONG; i++)
            x[r][i] = (real)((r + 1) * (i + 2));         /* small whole numbers: sums are exact */
    }
    as_ranks_mail(&w, 6);
    as_ranks_all_reduce(&w, cut, x);
    for (int r = 0; r < N; r++) {
        double sent = 0;

        for (int i = 0; i < LONG; i++)
            assert_true(fabs((double)x[r][i] - 15 * (i + 2)) < 0.5);
        for (int i = 0; i < N; i++)                      /* all but r's own once, all but the next one's once more */
            sent += (double)(cut[i + 1] - cut[i]) * ((i != r) + (i != (r + 1) % N));
        assert_int_equal((int)w.rank[r].sent, (int)sent);
    }
    assert_int_equal(w.supersteps, 2 * (N - 1));
}

/* --- attention -------------------------------------------------------------------------------------------------- */

struct sizes { int ranks; ptrdiff_t time; int32_t length[2]; };
enum { B = 2, H = 2, DK = 3, DV = 4, MOST = B * 13 * H * DV };
struct attention { double q[MOST], k[MOST], v[MOST], dy[MOST], y[MOST], dq[MOST], dk[MOST], dv[MOST]; };

static void truth_row(const struct sizes *s, struct attention *a, ptrdiff_t b, ptrdiff_t h, ptrdiff_t i)
{
    double p[13], sum = 0, dot = 0, dp[13];
    ptrdiff_t n = s->length[b], at = (b * s->time + i) * H + h;

    for (ptrdiff_t j = 0; j < n; j++) {
        p[j] = 0;
        for (int l = 0; l < DK; l++)
            p[j] += 0.7 * a->q[at * DK + l] * a->k[((b * s->time + j) * H + h) * DK + l];
        sum += p[j] = exp(p[j]);
    }
    for (ptrdiff_t j = 0; j < n; j++) {
        ptrdiff_t to = (b * s->time + j) * H + h;

        p[j] /= sum;
        dp[j] = 0;
        for (int l = 0; l < DV; l++) {
            a->y[at * DV + l] += p[j] * a->v[to * DV + l];
            a->dv[to * DV + l] += p[j] * a->dy[at * DV + l];
            dp[j] += a->dy[at * DV + l] * a->v[to * DV + l];
        }
        dot += p[j] * dp[j];
    }
    for (ptrdiff_t j = 0; j < n; j++)
        for (int l = 0; l < DK; l++) {
            ptrdiff_t to = (b * s->time + j) * H + h;

            a->dq[at * DK + l] += 0.7 * p[j] * (dp[j] - dot) * a->k[to * DK + l];
            a->dk[to * DK + l] += 0.7 * p[j] * (dp[j] - dot) * a->q[at * DK + l];
        }
}

static void draw(double *x, uint64_t stream)
{
    for (int i = 0; i < MOST; i++)
        x[i] = (double)as_normal((struct as_key){ 5, AS_ROLE_TEST_HARNESS, stream }, (uint64_t)i);
}

static void compare(const double *want, const real *got, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        assert_true(fabs(want[i] - (double)got[i]) < 2e3 * (double)AS_REAL_EPSILON);
}

static void narrow(const double *x, real *y)
{
    for (int i = 0; i < MOST; i++)
        y[i] = (real)x[i];
}

static void one_attention(const struct sizes *s, bool online)
{
    static struct attention a;
    static real q[MOST], k[MOST], v[MOST], dy[MOST], y[MOST], dq[MOST], dk[MOST], dv[MOST];
    struct as_ring z = { .ranks = s->ranks, .online = online, .batch = B, .time = s->time, .heads = H, .dk = DK,
                         .dv = DV, .scale = 0.7, .length = s->length };
    struct as_ranks w;
    ptrdiff_t n = B * s->time * H;
    real *memory = malloc((size_t)(s->ranks * as_ring_room(&z, true)) * sizeof *memory);

    assert_non_null(memory);
    memset(memory, 0xff, (size_t)(s->ranks * as_ring_room(&z, true)) * sizeof *memory);
    memset(&a, 0, sizeof a);
    draw(a.q, 1);
    draw(a.k, 2);
    draw(a.v, 3);
    draw(a.dy, 4);
    for (ptrdiff_t b = 0; b < B; b++)
        for (ptrdiff_t h = 0; h < H; h++)
            for (ptrdiff_t i = 0; i < s->length[b]; i++)
                truth_row(s, &a, b, h, i);
    narrow(a.q, q);
    narrow(a.k, k);
    narrow(a.v, v);
    narrow(a.dy, dy);
    memset(dq, 0, sizeof dq);
    memset(dk, 0, sizeof dk);
    memset(dv, 0, sizeof dv);
    as_ring_forward(&z, &w, true, q, k, v, y, memory);
    compare(a.y, y, n * DV);
    as_ring_backward(&z, &w, dy, dq, dk, dv, memory);
    compare(a.dq, dq, n * DK);
    compare(a.dk, dk, n * DK);
    compare(a.dv, dv, n * DV);
    free(memory);
}

static void attention(void **state)
{
    static const struct sizes all[] = {
        { 1, 5, { 5, 5 } }, { 2, 8, { 8, 8 } }, { 3, 13, { 13, 4 } }, { 4, 12, { 1, 12 } }, { 5, 3, { 3, 2 } },
        { 8, 13, { 13, 13 } }, { 2, 1, { 1, 1 } },
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        one_attention(&all[i], false);
        one_attention(&all[i], true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages), cmocka_unit_test(refusals), cmocka_unit_test(collectives),
        cmocka_unit_test(attention),
    };

    return cmocka_run_group_tests_name("ranks", tests, NULL, NULL);
}
