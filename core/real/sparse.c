/* sparse.c: see assay/sparse.h. A radix selection: the bits of a real, with the sign mended, stand in the order of its
 * values, so the keep-th largest is found byte by byte from the top, each time counting what agrees so far.
 */
#include <assay/sparse.h>
#include <string.h>

#ifdef ASSAY_DOUBLE
typedef uint64_t word;
#else
typedef uint32_t word;
#endif

enum { DIGITS = 256, TOP = 8 * (int)sizeof(word) - 8 };

static word order_of(real x)
{
    const word sign = (word)1 << (8 * sizeof(word) - 1);
    word bits;

    if (x != x)
        return 0;
    x += R(0.0);                         /* -0 is 0 */
    memcpy(&bits, &x, sizeof bits);
    return bits & sign ? (word)~bits : bits | sign;
}

/* How many scores begin like `begin` in the bits of `seen`, by their digit at `shift`. */
static void count_digits(int parts, const struct as_scores *part, word begin, word seen, int shift, ptrdiff_t *count)
{
    memset(count, 0, DIGITS * sizeof *count);
    for (int p = 0; p < parts; p++)
        for (ptrdiff_t i = 0; i < part[p].n; i++) {
            word k = order_of(part[p].score[i]);

            if ((k & seen) == begin)
                count[k >> shift & (DIGITS - 1)]++;
        }
}

void as_keep_largest(int parts, const struct as_scores *part, ptrdiff_t keep)
{
    ptrdiff_t count[DIGITS], all = 0, left = keep;       /* left: to be taken from those that begin like `least` */
    word least = 0, seen = 0;

    for (int p = 0; p < parts; p++)
        all += part[p].n;
    if (left > all)
        left = all;
    for (int shift = TOP; shift >= 0 && left > 0; shift -= 8) {
        int digit = DIGITS - 1;

        count_digits(parts, part, least, seen, shift, count);
        while (digit > 0 && count[digit] < left)
            left -= count[digit--];
        least |= (word)((word)digit << shift);
        seen |= (word)((word)(DIGITS - 1) << shift);
    }
    for (int p = 0; p < parts; p++)
        for (ptrdiff_t i = 0; i < part[p].n; i++) {
            word k = order_of(part[p].score[i]);

            part[p].mask[i] = keep > 0 && (k > least || (k == least && left-- > 0));
        }
}
