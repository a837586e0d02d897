/* random.c: Philox 4x32 with 10 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011), and what is drawn from it.
 *
 * Layout. Philox takes a counter of four words and a key of two. Counter = (index, stream), each low word first;
 * key = (low word of seed, high word of seed XOR role * 2^24). So with seeds below 2^56 and roles below 256, two
 * different (seed, role, stream, index) never give the same input. Role 0 with any seed is plain Philox, which is
 * how the published vectors are checked.
 *
 * Words. Draw number i of a stream is word i mod 4 of block i / 4. Numbers 2 j and 2 j + 1 of as_normal() are the
 * cosine and sine branches over words 2 j and 2 j + 1.
 */
#include "random_private.h"
#include <assay/random.h>
#include <math.h>

static inline void mul_hi_lo(uint32_t a, uint32_t b, uint32_t *hi, uint32_t *lo)
{
    uint64_t p = (uint64_t)a * b;
    *hi = (uint32_t)(p >> 32);
    *lo = (uint32_t)p;
}

void as_philox(struct as_key key, uint64_t index, uint32_t out[4])
{
    uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32);
    uint32_t c2 = (uint32_t)key.stream, c3 = (uint32_t)(key.stream >> 32);
    uint32_t k0 = (uint32_t)key.seed, k1 = (uint32_t)(key.seed >> 32) ^ (key.role << 24);
    for (int round = 0; round < 10; round++) {
        uint32_t hi0, lo0, hi1, lo1;
        mul_hi_lo(UINT32_C(0xD2511F53), c0, &hi0, &lo0);
        mul_hi_lo(UINT32_C(0xCD9E8D57), c2, &hi1, &lo1);
        c0 = hi1 ^ c1 ^ k0;
        c1 = lo1;
        c2 = hi0 ^ c3 ^ k1;
        c3 = lo0;
        k0 += UINT32_C(0x9E3779B9);
        k1 += UINT32_C(0xBB67AE85);
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint32_t as_bits(struct as_key key, uint64_t index)
{
    uint32_t w[4];
    as_philox(key, index >> 2, w);
    return w[index & 3];
}

void as_bits_fill(struct as_key key, uint64_t first, ptrdiff_t n, uint32_t *out)
{
    enum { LANES = 16 };                        /* blocks side by side */
    uint32_t w[4][LANES];
    const uint32_t key0 = (uint32_t)key.seed, key1 = (uint32_t)(key.seed >> 32) ^ (key.role << 24);
    for (ptrdiff_t i = 0; i < n; i += 4 * LANES) {
        for (uint32_t l = 0; l < LANES; l++) {
            uint64_t block = (first >> 2) + (uint64_t)(i >> 2) + l;
            w[0][l] = (uint32_t)block;
            w[1][l] = (uint32_t)(block >> 32);
            w[2][l] = (uint32_t)key.stream;
            w[3][l] = (uint32_t)(key.stream >> 32);
        }
        uint32_t k0 = key0, k1 = key1;
        for (int round = 0; round < 10; round++) {
            for (int l = 0; l < LANES; l++) {
                uint32_t hi0, lo0, hi1, lo1;
                mul_hi_lo(UINT32_C(0xD2511F53), w[0][l], &hi0, &lo0);
                mul_hi_lo(UINT32_C(0xCD9E8D57), w[2][l], &hi1, &lo1);
                w[0][l] = hi1 ^ w[1][l] ^ k0;
                w[1][l] = lo1;
                w[2][l] = hi0 ^ w[3][l] ^ k1;
                w[3][l] = lo0;
            }
            k0 += UINT32_C(0x9E3779B9);
            k1 += UINT32_C(0xBB67AE85);
        }
        for (ptrdiff_t j = 0; j < 4 * LANES && i + j < n; j++)
            out[i + j] = w[j & 3][j >> 2];
    }
}

/* (b + 1/2) / 2^23 with b the upper 23 bits: exact in float, at least 2^-24, at most 1 - 2^-24. */
float as_uniform(struct as_key key, uint64_t index)
{
    return ((float)(as_bits(key, index) >> 9) + 0.5f) * 0x1p-23f;
}

/* Box-Muller: u = (w + 1/2) / 2^32 of each word, r = sqrt(-2 ln u1), r cos(2 pi u2) for even numbers, r sin(2 pi u2)
 * for odd ones. Taken in double and rounded once to float, so that the last bits of a mathematical library's
 * log and cos, which differ between processors, hardly ever show. At most 6.76 in size. */
float as_normal(struct as_key key, uint64_t index)
{
    uint32_t w[4];
    as_philox(key, index >> 2, w);
    const uint32_t *pair = w + (index & 2);
    double u1 = ((double)pair[0] + 0.5) * 0x1p-32, u2 = ((double)pair[1] + 0.5) * 0x1p-32;
    double r = sqrt(-2.0 * log(u1)), angle = 6.283185307179586476925 * u2;
    return (float)(index & 1 ? r * sin(angle) : r * cos(angle));
}

/* Lemire's multiplication: the upper word of w * n, after refusing the 2^32 mod n lowest lower words. A refused
 * word is replaced from a stream of its own for this attempt, so that other indices keep their draws. */
uint32_t as_below(struct as_key key, uint64_t index, uint32_t n)
{
    uint64_t p = (uint64_t)as_bits(key, index) * n;
    if ((uint32_t)p < n) {
        uint32_t least = (uint32_t)(-n) % n;
        for (uint64_t attempt = 1; (uint32_t)p < least; attempt++)
            p = (uint64_t)as_bits(as_subkey(key, attempt), index) * n;
    }
    return (uint32_t)(p >> 32);
}

void as_shuffle(struct as_key key, ptrdiff_t n, int32_t *order)
{
    for (ptrdiff_t i = 0; i < n; i++)
        order[i] = (int32_t)i;
    for (ptrdiff_t i = n - 1; i > 0; i--) {
        uint32_t j = as_below(key, (uint64_t)i, (uint32_t)i + 1);
        int32_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

/* The finaliser of SplitMix64 (Steele, Lea and Flood 2014), a bijection of 64 bits. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

struct as_key as_subkey(struct as_key key, uint64_t tag)
{
    key.stream = mix(mix(key.stream + UINT64_C(0x9E3779B97F4A7C15)) + tag + 1);
    return key;
}

uint64_t as_hash(const char *text)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001B3);
    return h;
}
