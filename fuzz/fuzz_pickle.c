/* Pickles: every value reached from the root by keys and items, every element of every array, as sparse rows too.
 * Input: the file.
 * Covers: core/pickle.c core/pickle_value.c
 */
#include "fuzz.h"

#include <assay/pickle.h>

enum { DEPTH = 4, MOST = 64 };

static void read_array(const struct as_pickle_value *v)
{
    ptrdiff_t n = 1;
    for (int k = 0; k < v->rank; k++) {
        fuzz_promise(v->dim[k] >= 0);
        n *= v->dim[k] < 1 << 14 ? v->dim[k] : 1 << 14;
    }
    fuzz_promise(v->rank < 1 || n == 0 || (size_t)n <= v->n);
    for (ptrdiff_t i = 0; i < n && i < MOST; i++) {
        volatile double x = as_pickle_number(v, i) + as_pickle_number(v, n - 1 - i);
        (void)x;
    }
}

static void read_value(const struct as_pickle_value *v, int depth)
{
    struct as_pickle_rows m;
    const char *why = as_pickle_sparse(v, &m);
    fuzz_promise(why ? *why != '\0' : m.rows >= 0);
    for (int rank = 0; rank <= 4; rank++)
        if (as_pickle_is_array(v, rank, false))
            read_array(v);
    as_pickle_get(v, "data");
    for (ptrdiff_t k = 0; k < v->count && k < MOST && depth < DEPTH; k++)
        read_value(v->item[k], depth + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *bytes = malloc(size ? size : 1);
    const char *why = NULL;
    memcpy(bytes, data, size);
    struct as_pickle *p = as_pickle_open((struct as_bytes){ bytes, size }, &why);
    fuzz_promise(p ? !why : why && *why);
    if (p)
        read_value(as_pickle_root(p), 0);
    as_pickle_close(p);
    free(bytes);
    return 0;
}
