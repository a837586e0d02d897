/* fuzz.h: what the fuzzing targets share. A target is one file fuzz_NAME.c with LLVMFuzzerTestOneInput(); its kept
 * inputs lie in corpus/NAME/, words for the mutator in NAME.dict. `make fuzz` drives it by libFuzzer; `make check` runs
 * the kept inputs through the same function by replay.c. A target must not leak, and aborts on a broken promise.
 */
#ifndef ASSAY_FUZZ_FUZZ_H
#define ASSAY_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Looks at one input; always 0, or -1 for an input that the mutator should forget. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the code under test, checked in every build. */
#define fuzz_promise(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: broken promise: %s\n", __FILE__, __LINE__, #condition); \
            abort(); \
        } \
    } while (0)

/* n bytes of their own and a zero behind them, so that reading beyond is seen; to be freed. */
static inline char *fuzz_text(const void *bytes, size_t n)
{
    char *text = malloc(n + 1);
    if (!text)
        abort();
    if (n)
        memcpy(text, bytes, n);
    text[n] = 0;
    return text;
}

/* Takes the bytes up to the next `end` (or all that is left) from *p, *n. malloc'd text. */
static inline char *fuzz_take(const uint8_t **p, size_t *n, int end)
{
    const uint8_t *stop = *n ? memchr(*p, end, *n) : NULL;
    size_t length = stop ? (size_t)(stop - *p) : *n, step = length + (stop != NULL);
    char *text = fuzz_text(*p, length);
    *p += step;
    *n -= step;
    return text;
}

#endif
