/* pickle_private.h: what the machine and the looking at its values share. */
#ifndef ASSAY_CORE_PICKLE_PRIVATE_H
#define ASSAY_CORE_PICKLE_PRIVATE_H

#include <assay/pickle.h>
#include <string.h>

static inline const char *pickle_damaged(const char *what) { return as_say("pickle: truncated or damaged: %s", what); }

static inline uint64_t pickle_bits(const unsigned char *p, int bytes, bool big)
{
    uint64_t v = 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)p[i] << 8 * (big ? bytes - 1 - i : i);
    return v;
}

static inline bool pickle_is(const struct as_pickle_value *v, const char *text)
{
    return v && v->text && v->n == strlen(text) && !memcmp(v->text, text, v->n);
}

#endif
