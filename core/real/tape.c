/* tape.c: nodes, notes, the way back, and recomputing a section on the way back. */
#include "tape.h"

#include "../arena_private.h"

#include <assay/error.h>

#include <stdlib.h>
#include <string.h>

/* A gradient array that was taken inside a section for a node outside of it: it has to outlive the section.
 * The array follows its stray at the next aligned address, so that both move as one block. */
struct stray { struct as_node *node; struct stray *next; size_t bytes; };
enum { STRAY = 64 };
_Static_assert(sizeof(struct stray) <= STRAY, "a stray takes one line of the arena");

/* A gradient array that nobody will read any more, since the note whose result it belonged to has been walked. The next
 * gradient of as many bytes takes its place: what is live on the way back is then a few arrays, not as many as there are
 * nodes, and they are still in the cache. Kept in the array itself; newest first. */
struct spare { struct spare *next; size_t bytes; };
enum { LOOK = 8 };                   /* spares that are looked at: further ones are cold, and the list may be long */

/* The part of the arena in which a recomputed piece lives while it is walked. Spares stay within it. */
struct section { size_t mark; struct stray *first, **last; struct spare *outer_spare; struct section *outer; };

struct as_tape {
    struct as_arena *arena;
    struct as_note *last;            /* the newest note; they are chained to the oldest */
    struct section *section;         /* being walked; NULL outside of as_recompute()'s way back */
    struct spare *spare;
    struct as_angles *angles;        /* kept beyond a reset */
    bool on;                         /* notes are wanted */
    bool dry;                        /* inside a piece that will be recomputed: who wants is tracked, no notes */
};

struct as_tape *as_tape_new(void)
{
    struct as_arena *arena = as_arena_new();
    struct as_tape *t = calloc(1, sizeof *t);
    if (!t) {
        as_arena_free(arena);
        as_fail(AS_NO_MEMORY, "no memory for a tape");
    }
    t->arena = arena;
    t->on = true;
    return t;
}

void as_tape_free(struct as_tape *t)
{
    if (!t)
        return;
    for (struct as_angles *a = t->angles, *next; a; a = next) {
        next = a->next;
        free(a);
    }
    as_arena_free(t->arena);
    free(t);
}

struct as_angles **as_tape_angles(struct as_tape *t)
{
    return &t->angles;
}

void as_tape_reset(struct as_tape *t)
{
    as_arena_reset(t->arena, 0);
    t->last = NULL;
    t->section = NULL;               /* a failure may have left one open */
    t->spare = NULL;
    t->dry = false;
}

struct as_arena *as_tape_arena(struct as_tape *t)
{
    return t->arena;
}

bool as_tape_recording(const struct as_tape *t)
{
    return t->on && !t->dry;
}

bool as_tape_record(struct as_tape *t, bool on)
{
    bool was = t->on;
    t->on = on;
    return was;
}

/* --- nodes ------------------------------------------------------------------------------------------------ */

static struct as_node *node(struct as_tape *t, enum as_dtype dtype, int rank, const ptrdiff_t *dims, size_t *size)
{
    if (rank < 0 || rank > AS_MAX_RANK)
        as_fail(AS_FAILED, "a node of rank %d was asked for; ranks go from 0 to %d", rank, AS_MAX_RANK);
    struct as_node *a = as_arena_zero(t->arena, sizeof *a);
    a->dtype = dtype;
    a->rank = rank;
    *size = 1;
    for (int j = 0; j < rank; j++) {
        if (dims[j] < 0)
            as_fail(AS_FAILED, "size %d of a new node is %td; sizes are 0 or more", j, dims[j]);
        a->dim[j] = dims[j];
        *size = as_size(*size, (size_t)dims[j]);
    }
    return a;
}

struct as_node *as_node_new(struct as_tape *t, int rank, const ptrdiff_t *dims)
{
    size_t size;
    struct as_node *a = node(t, AS_REALS, rank, dims, &size);
    a->x = as_arena_take(t->arena, as_size(size, sizeof *a->x));
    return a;
}

struct as_node *as_node_ints(struct as_tape *t, int rank, const ptrdiff_t *dims)
{
    size_t size;
    struct as_node *a = node(t, AS_INTS, rank, dims, &size);
    a->i = as_arena_take(t->arena, as_size(size, sizeof *a->i));
    return a;
}

struct as_node *as_node_like(struct as_tape *t, const struct as_node *a)
{
    struct as_node *b = a->dtype == AS_INTS ? as_node_ints(t, a->rank, a->dim) : as_node_new(t, a->rank, a->dim);
    b->length = a->length;
    return b;
}

struct as_node *as_node_wrap(struct as_tape *t, int rank, const ptrdiff_t *dims, real *x, real *dx)
{
    size_t size;
    struct as_node *a = node(t, AS_REALS, rank, dims, &size);
    a->x = x;
    a->dx = dx;
    a->wants = dx != NULL;
    return a;
}

ptrdiff_t as_node_size(const struct as_node *a)
{
    ptrdiff_t n = 1;                 /* was checked when the node was made */
    for (int j = 0; j < a->rank; j++)
        n *= a->dim[j];
    return n;
}

/* --- notes and gradients ---------------------------------------------------------------------------------- */

struct as_note *as_note_new(struct as_tape *t, void (*back)(struct as_tape *, struct as_note *), struct as_node *out,
                            int n_in, struct as_node *const *in)
{
    struct as_note *note = NULL;
    bool wants = false;
    if (n_in < 0 || n_in > (int)(sizeof note->in / sizeof note->in[0]))
        as_fail(AS_FAILED, "a note takes up to %d inputs, not %d", (int)(sizeof note->in / sizeof note->in[0]), n_in);
    for (int j = 0; j < n_in; j++)
        wants = wants || (in[j] && in[j]->wants);
    if (!t->on || !wants)
        return NULL;
    out->wants = true;
    if (t->dry)
        return NULL;
    note = as_arena_zero(t->arena, sizeof *note);
    note->back = back;
    note->out = out;
    note->n_in = n_in;
    for (int j = 0; j < n_in; j++)
        note->in[j] = in[j];
    note->before = t->last;
    t->last = note;
    out->note = note;
    return note;
}

static real *gradient_array(struct as_tape *t, size_t bytes)
{
    struct spare **at = &t->spare;
    for (int i = 0; i < LOOK && *at; i++, at = &(*at)->next)
        if ((*at)->bytes == bytes) {
            struct spare *found = *at;
            *at = found->next;
            return (real *)found;
        }
    return as_arena_take(t->arena, bytes);
}

/* Not a caller's array, which is only read: the caller may want it again. */
static bool of_tape(const struct as_tape *t, const real *dx)
{
    return as_arena_above(t->arena, 0, dx);
}

/* The note has been walked: its result's gradient is over, unless an input has it now. */
static void spare_gradient(struct as_tape *t, const struct as_note *note)
{
    size_t bytes = (size_t)as_node_size(note->out) * sizeof(real);
    struct spare *spare = (struct spare *)note->out->dx;
    for (int j = 0; j < note->n_in; j++)
        if (note->in[j] && note->in[j]->dx == note->out->dx)
            return;
    note->out->dx = NULL;
    if (bytes < sizeof *spare || !of_tape(t, (real *)spare))
        return;
    *spare = (struct spare){ t->spare, bytes };
    t->spare = spare;
}

real *as_gradient_open(struct as_tape *t, struct as_node *a, bool *fresh)
{
    *fresh = false;
    if (!a->wants || a->dx)
        return a->dx;
    *fresh = true;
    size_t bytes = as_size((size_t)as_node_size(a), sizeof *a->dx);
    struct section *s = t->section;
    if (!s || as_arena_above(t->arena, s->mark, a)) {
        a->dx = gradient_array(t, bytes);
        return a->dx;
    }
    struct stray *stray = as_arena_zero(t->arena, STRAY);
    a->dx = as_arena_take(t->arena, bytes);
    *stray = (struct stray){ .node = a, .bytes = bytes };
    *s->last = stray;
    s->last = &stray->next;
    return a->dx;
}

real *as_gradient(struct as_tape *t, struct as_node *a)
{
    bool fresh;
    real *dx = a->wants ? as_gradient_open(t, a, &fresh) : NULL;
    if (dx && fresh)
        memset(dx, 0, (size_t)as_node_size(a) * sizeof *dx);
    return dx;
}

bool as_gradient_take(struct as_tape *t, struct as_node *a, const struct as_node *out)
{
    struct section *s = t->section;
    if (!a->wants || a->dx || (s && !as_arena_above(t->arena, s->mark, a)) || !of_tape(t, out->dx))
        return false;
    a->dx = out->dx;
    return true;
}

real *as_gradient_over(struct as_tape *t, struct as_node *a, const struct as_node *out, bool *fresh)
{
    if (!as_gradient_take(t, a, out))
        return as_gradient_open(t, a, fresh);
    *fresh = true;
    return a->dx;
}

static void walk(struct as_tape *t, struct as_note *note)
{
    for (; note; note = note->before)
        if (note->out->dx) {
            note->back(t, note);
            spare_gradient(t, note);
        }
}

void as_backward(struct as_tape *t, struct as_node *loss, real seed)
{
    if (as_node_size(loss) != 1 || loss->dtype != AS_REALS)
        as_fail(AS_FAILED, "the way back starts at a real node of size 1, not of size %td", as_node_size(loss));
    if (!loss->wants)
        return;
    /* A second walk over the same notes starts afresh, but what callers own goes on adding up. */
    for (struct as_note *note = t->last; note; note = note->before)
        note->out->dx = NULL;
    t->spare = NULL;
    as_gradient(t, loss)[0] += seed;
    walk(t, t->last);
}

/* --- recomputing ------------------------------------------------------------------------------------------ */

struct piece { struct as_node *(*body)(struct as_tape *, void *, struct as_node *); void *ctx; };

/* Gives up everything above the section's mark but the strays' arrays, which move down. */
static void close_section(struct as_tape *t, struct section *s)
{
    size_t to = s->mark;
    struct section *outer = s->outer;
    for (struct stray *stray = s->first; stray;) {
        struct stray *next = stray->next, *moved = as_arena_slide(t->arena, &to, stray, STRAY);
        moved->node->dx = as_arena_slide(t->arena, &to, (char *)stray + STRAY, moved->bytes);
        moved->next = NULL;
        if (outer && !as_arena_above(t->arena, outer->mark, moved->node)) {
            *outer->last = moved;
            outer->last = &moved->next;
        }
        stray = next;
    }
    as_arena_reset(t->arena, to);
    t->section = outer;
    t->spare = s->outer_spare;
}

static void recompute_back(struct as_tape *t, struct as_note *note)
{
    struct piece *piece = note->saved;
    struct as_note *last = t->last;
    struct section s = { .mark = as_arena_mark(t->arena), .outer_spare = t->spare, .outer = t->section };
    bool was = as_tape_record(t, true);
    s.last = &s.first;
    t->section = &s;
    t->spare = NULL;
    t->last = NULL;
    struct as_node *out = piece->body(t, piece->ctx, note->in[0]);
    if (as_node_size(out) != as_node_size(note->out))
        as_fail(AS_FAILED, "a recomputed piece gave %td numbers the first time and %td the second",
                as_node_size(note->out), as_node_size(out));
    if (as_arena_above(t->arena, s.mark, out) && out->note)
        out->dx = note->out->dx;
    walk(t, t->last);
    as_tape_record(t, was);
    t->last = last;
    close_section(t, &s);
}

/* Keeps the result of a piece, moved down to the mark; all else that the piece took is gone. */
static struct as_node *keep_result(struct as_tape *t, size_t mark, struct as_node *out)
{
    struct as_arena *arena = t->arena;
    if (!as_arena_above(arena, mark, out))
        return out;
    size_t n = (size_t)as_node_size(out), lengths = out->rank > 0 ? (size_t)out->dim[0] * sizeof *out->length : 0;
    bool moves_length = out->length && as_arena_above(arena, mark, out->length);
    int32_t *length = NULL;
    if (moves_length)                /* to the very top, where nothing that moves down can reach it */
        length = memcpy(as_arena_take(arena, lengths), out->length, lengths);
    struct as_node copy = *out;
    if (copy.x && as_arena_above(arena, mark, copy.x))
        copy.x = as_arena_slide(arena, &mark, copy.x, n * sizeof *copy.x);
    if (copy.i && as_arena_above(arena, mark, copy.i))
        copy.i = as_arena_slide(arena, &mark, copy.i, n * sizeof *copy.i);
    struct as_node *kept = as_arena_slide(arena, &mark, &copy, sizeof copy);
    if (moves_length)
        kept->length = as_arena_slide(arena, &mark, length, lengths);
    as_arena_reset(arena, mark);
    return kept;
}

struct as_node *as_recompute(struct as_tape *t, struct as_node *(*body)(struct as_tape *, void *, struct as_node *),
                             void *ctx, struct as_node *x)
{
    if (!as_tape_recording(t))
        return body(t, ctx, x);
    size_t mark = as_arena_mark(t->arena);
    t->dry = true;
    struct as_node *out = body(t, ctx, x);
    t->dry = false;
    bool made = as_arena_above(t->arena, mark, out);
    out = keep_result(t, mark, out);
    if (!made || !out->wants)
        return out;
    /* Wanted, perhaps only for the weights inside: the note is made as if x wanted. */
    struct as_node *in[1] = { x };
    bool wanted = x->wants;
    x->wants = true;
    struct as_note *note = as_note_new(t, recompute_back, out, 1, in);
    x->wants = wanted;
    struct piece *piece = as_arena_take(t->arena, sizeof *piece);
    *piece = (struct piece){ body, ctx };
    note->saved = piece;
    return out;
}
