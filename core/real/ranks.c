/* ranks.c: see assay/ranks.h. */
#include <assay/error.h>
#include <assay/ranks.h>

#include <string.h>

enum { TAG_REDUCE = -1, TAG_GATHER = -2 };

void as_ranks_open(struct as_ranks *w, int n, ptrdiff_t room, real *memory)
{
    if (n < 1 || n > AS_MAX_RANKS)
        as_fail(AS_REFUSED, "%d ranks; there may be 1 to %d", n, AS_MAX_RANKS);
    memset(w, 0, sizeof *w);
    w->n = n;
    w->room = room;
    for (int r = 0; r < n; r++)
        w->rank[r].memory = memory + r * room;
}

static struct as_rank *rank_at(const struct as_ranks *w, int rank)
{
    if (rank < 0 || rank >= w->n)
        as_fail(AS_FAILED, "rank %d of %d does not exist", rank, w->n);
    return (struct as_rank *)&w->rank[rank];
}

real *as_rank_take(struct as_ranks *w, int rank, ptrdiff_t n)
{
    struct as_rank *r = rank_at(w, rank);
    real *x = r->memory + r->held;

    if (n < 0 || n > w->room - r->held)
        as_fail(AS_FAILED, "rank %d holds %td of %td numbers and takes %td more", rank, r->held, w->room, n);
    r->held += n;
    r->peak = r->held > r->peak ? r->held : r->peak;
    return x;
}

void as_rank_release(struct as_ranks *w, int rank, const real *x)
{
    struct as_rank *r = rank_at(w, rank);

    if (x < r->memory || x > r->memory + r->held)
        as_fail(AS_FAILED, "rank %d gives back what it does not hold", rank);
    r->held = x - r->memory;
}

void as_ranks_mail(struct as_ranks *w, ptrdiff_t mail)
{
    w->mail = mail;
    for (int r = 0; w->n > 1 && r < w->n; r++)
        for (int i = 0; i < 2; i++)
            w->rank[r].box[i].x = as_rank_take(w, r, mail);
}

void as_ranks_deliver(struct as_ranks *w)
{
    for (int r = 0; r < w->n; r++) {
        struct as_mailbox *read = &w->rank[r].box[w->reading];

        read->n = 0;
        read->used = 0;
    }
    w->reading = !w->reading;
    w->supersteps++;
}

void as_rank_send(struct as_ranks *w, int from, int to, int tag, ptrdiff_t n, const real *x)
{
    struct as_rank *a = rank_at(w, from), *b = rank_at(w, to);
    struct as_mailbox *box = &b->box[!w->reading];

    if (from == to)
        as_fail(AS_FAILED, "rank %d sends to itself", from);
    if (n < 0 || x < a->memory || x + n > a->memory + a->held)
        as_fail(AS_FAILED, "rank %d sends what it does not hold", from);
    if (box->n == AS_MAX_MAIL || n > w->mail - box->used)
        as_fail(AS_FAILED, "rank %d has room for %td numbers in %d messages, holds %td in %d and is sent %td more", to,
                w->mail, AS_MAX_MAIL, box->used, box->n, n);
    for (int i = 0; i < box->n; i++)
        if (box->mail[i].from == from && box->mail[i].tag == tag)
            as_fail(AS_FAILED, "rank %d sends two messages with tag %d to rank %d", from, tag, to);
    box->mail[box->n++] = (struct as_mail){ from, tag, box->used, n };
    memcpy(box->x + box->used, x, (size_t)n * sizeof *x);
    box->used += n;
    a->sent += (double)n;
    a->messages++;
}

const real *as_rank_read(const struct as_ranks *w, int rank, int from, int tag, ptrdiff_t n)
{
    const struct as_mailbox *box = &rank_at(w, rank)->box[w->reading];

    for (int i = 0; i < box->n; i++) {
        const struct as_mail *m = &box->mail[i];

        if (m->from != from || m->tag != tag)
            continue;
        if (m->n != n)
            as_fail(AS_FAILED, "rank %d expects %td numbers from rank %d and was sent %td", rank, n, from, m->n);
        return box->x + m->at;
    }
    as_fail(AS_FAILED, "rank %d reads a message with tag %d that rank %d has not sent", rank, tag, from);
}

/* --- collectives --------------------------------------------------------------------------------------------- */

/* a - b round the ring. */
static int back(const struct as_ranks *w, int a, int b) { return ((a - b) % w->n + w->n) % w->n; }

/* One superstep: everybody hands piece r - shift on. */
static void hand_on(struct as_ranks *w, int shift, int tag, const ptrdiff_t *cut, real *const *x)
{
    for (int r = 0; r < w->n; r++) {
        int i = back(w, r, shift);

        as_rank_send(w, r, back(w, r, -1), tag, cut[i + 1] - cut[i], x[r] + cut[i]);
    }
    as_ranks_deliver(w);
}

void as_ranks_reduce_scatter(struct as_ranks *w, const ptrdiff_t *cut, real *const *x)
{
    for (int s = 1; s < w->n; s++) {
        hand_on(w, s, TAG_REDUCE, cut, x);
        for (int r = 0; r < w->n; r++) {
            int i = back(w, r, s + 1);
            const real *so_far = as_rank_read(w, r, back(w, r, 1), TAG_REDUCE, cut[i + 1] - cut[i]);

            for (ptrdiff_t j = cut[i]; j < cut[i + 1]; j++)
                x[r][j] = so_far[j - cut[i]] + x[r][j];
        }
    }
}

void as_ranks_all_gather(struct as_ranks *w, const ptrdiff_t *cut, real *const *x)
{
    for (int s = 0; s + 1 < w->n; s++) {
        hand_on(w, s, TAG_GATHER, cut, x);
        for (int r = 0; r < w->n; r++) {
            int i = back(w, r, s + 1);

            memcpy(x[r] + cut[i], as_rank_read(w, r, back(w, r, 1), TAG_GATHER, cut[i + 1] - cut[i]),
                   (size_t)(cut[i + 1] - cut[i]) * sizeof(real));
        }
    }
}

void as_ranks_all_reduce(struct as_ranks *w, const ptrdiff_t *cut, real *const *x)
{
    as_ranks_reduce_scatter(w, cut, x);
    as_ranks_all_gather(w, cut, x);
}
