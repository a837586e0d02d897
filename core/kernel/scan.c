/* scan.c: scans of sequence.h in registers: the complex ones as pairs (re, im), where the processor multiplies and then
 * adds and subtracts in turns; and the way back of long ones, whose gradients are written past the caches: a store into
 * a line that is not there reads it first, a third more traffic. Else the loops of sequence.h.
 */
#include "sequence.h"
#include "kernels.h"
#include "vector.h"

void AS_LEVELLED(as_scan_backward)(const struct as_scan_piece *p);
void AS_LEVELLED(as_scan_complex_forward)(const struct as_scan_piece *p);
void AS_LEVELLED(as_scan_complex_backward)(const struct as_scan_piece *p);

#define INLINE static inline __attribute__((always_inline))

/* Every register of every row of a gradient that is written starts at a multiple of its bytes. */
static bool fits(const real *first, const struct as_scan_piece *p)
{
    return !first || (vf_fits(first + p->from) && p->width % VF_WIDTH == 0);
}

static bool goes_past(const struct as_scan_piece *p)
{
    return p->past && (p->to - p->from) % VF_WIDTH == 0 && fits(p->dx, p) && (!p->step_a || fits(p->da, p));
}

/* ---- Real ---- */

static void real_past(ptrdiff_t n, const struct as_scan_step *s, enum as_scan_give x, enum as_scan_give a)
{
    const bool in_place = s->dx == s->dh;       /* then the line has been read already */
    for (ptrdiff_t c = 0; c < n; c += VF_WIDTH) {
        const vf g = vf_load(s->g + c) + vf_load(s->dh + c), before = vf_load(s->before + c);
        if (x == AS_SCAN_ADD)
            vf_store(s->dx + c, vf_load(s->dx + c) + g);
        else if (x == AS_SCAN_WRITE && in_place)
            vf_store(s->dx + c, g);
        else if (x == AS_SCAN_WRITE)
            vf_store_past(s->dx + c, g);
        if (a == AS_SCAN_WRITE)
            vf_store_past(s->da + c, g * before);
        else if (a != AS_SCAN_NONE)
            vf_store(s->da + c, vf_fma(g, before, vf_load(s->da + c)));
        vf_store(s->g + c, g * vf_load(s->a + c));
    }
}

void AS_LEVELLED(as_scan_backward)(const struct as_scan_piece *p)
{
    if (goes_past(p)) {
        scan_back_through(p, real_past);
        vf_past_done();
    } else {
        scan_backward(p);
    }
}

/* ---- Complex ---- */

#if ASSAY_LEVEL == 2
#define vf_even(a) _mm512_moveldup_ps(a)
#define vf_odd(a) _mm512_movehdup_ps(a)
#define vf_swap(a) _mm512_permute_ps(a, 0xB1)
#define vf_fmaddsub(a, b, c) _mm512_fmaddsub_ps(a, b, c)
#define vf_fmsubadd(a, b, c) _mm512_fmsubadd_ps(a, b, c)
#elif ASSAY_LEVEL == 1
#define vf_even(a) _mm256_moveldup_ps(a)
#define vf_odd(a) _mm256_movehdup_ps(a)
#define vf_swap(a) _mm256_permute_ps(a, 0xB1)
#define vf_fmaddsub(a, b, c) _mm256_fmaddsub_ps(a, b, c)
#define vf_fmsubadd(a, b, c) _mm256_fmsubadd_ps(a, b, c)
#endif

#if ASSAY_LEVEL > 0
INLINE vf get(const float *x, ptrdiff_t m)
{
    return m >= VF_WIDTH ? vf_load(x) : vf_load_part(x, m);
}

INLINE void set(float *x, ptrdiff_t m, vf v)
{
    if (m >= VF_WIDTH)
        vf_store(x, v);
    else
        vf_store_part(x, m, v);
}

/* a b, and b conj(a). */
INLINE vf times(vf a, vf b)
{
    return vf_fmaddsub(vf_even(a), b, vf_odd(a) * vf_swap(b));
}

INLINE vf times_conj(vf b, vf a)
{
    return vf_fmsubadd(vf_even(a), b, vf_odd(a) * vf_swap(b));
}

static void forward(const struct as_scan_piece *p)
{
    static const float none[AS_SCAN_CHANNELS];
    const ptrdiff_t n = p->to - p->from;
    const float *before = p->h0 ? p->h0 + p->from : none;
    for (ptrdiff_t t = 0; t < p->time; t++) {
        const float *a = p->a + t * p->step_a + p->from, *x = p->x + t * p->width + p->from;
        float *h = p->h + t * p->width + p->from;
        for (ptrdiff_t c = 0; c < n; c += VF_WIDTH)
            set(h + c, n - c, times(get(a + c, n - c), get(before + c, n - c)) + get(x + c, n - c));
        before = h;
    }
}

INLINE void complex_step(ptrdiff_t n, const struct as_scan_step *s, enum as_scan_give x, enum as_scan_give a,
                         const bool past)
{
    for (ptrdiff_t c = 0; c < n; c += VF_WIDTH) {
        const ptrdiff_t m = n - c;
        vf g = get(s->g + c, m) + get(s->dh + c, m);
        if (x == AS_SCAN_ADD)
            set(s->dx + c, m, g + get(s->dx + c, m));
        else if (x == AS_SCAN_WRITE && past)
            vf_store_past(s->dx + c, g);
        else if (x == AS_SCAN_WRITE)
            set(s->dx + c, m, g);
        if (a != AS_SCAN_NONE) {
            vf da = times_conj(g, get(s->before + c, m));
            if (a != AS_SCAN_WRITE)
                da += get(s->da + c, m);
            if (a == AS_SCAN_WRITE && past)
                vf_store_past(s->da + c, da);
            else
                set(s->da + c, m, da);
        }
        set(s->g + c, m, times_conj(g, get(s->a + c, m)));
    }
}

static void step_back(ptrdiff_t n, const struct as_scan_step *s, enum as_scan_give x, enum as_scan_give a)
{
    complex_step(n, s, x, a, false);
}

static void step_past(ptrdiff_t n, const struct as_scan_step *s, enum as_scan_give x, enum as_scan_give a)
{
    complex_step(n, s, x, a, s->dx != s->dh);
}

static void backward(const struct as_scan_piece *p)
{
    if (goes_past(p)) {
        scan_back_through(p, step_past);
        vf_past_done();
    } else {
        scan_back_through(p, step_back);
    }
}
#else
#define forward scan_complex_forward
#define backward scan_complex_backward
#endif

void AS_LEVELLED(as_scan_complex_forward)(const struct as_scan_piece *p)
{
    forward(p);
}

void AS_LEVELLED(as_scan_complex_backward)(const struct as_scan_piece *p)
{
    backward(p);
}
