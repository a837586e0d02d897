/* MATLAB 5 files: every variable that can be named, every cell, the first and the last rows of every matrix.
 * Input: the file.
 * Covers: core/matfile.c core/lib/inflate.c
 */
#include "fuzz.h"

#include <assay/matfile.h>

static void read_matrix(const struct as_mat_value *v)
{
    enum { MOST = 1 << 16, ROWS = 4 };
    fuzz_promise(v->rows >= 0 && v->cols >= 0);
    if (v->cols > MOST)
        return;
    ptrdiff_t rows = v->rows < ROWS ? v->rows : ROWS;
    float *x = malloc((size_t)(rows * v->cols) * sizeof *x + 1);
    const char *why = as_mat_rows(v, 0, rows, x);
    if (!why)
        why = as_mat_rows(v, v->rows - rows, rows, x);
    fuzz_promise(!why || *why);
    free(x);
}

static void read_value(const struct as_mat_value *v, int depth)
{
    if (!v->cell) {
        read_matrix(v);
        return;
    }
    fuzz_promise(v->cells >= 0);
    for (ptrdiff_t i = 0; i < v->cells && i < 32; i++) {
        struct as_mat_value inner;
        const char *why = as_mat_cell(v, i, &inner);
        if (why)
            fuzz_promise(*why);
        else if (depth < 3)
            read_value(&inner, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const name[] = { "traindata", "validdata", "testdata", "a", "" };
    unsigned char *bytes = malloc(size ? size : 1);
    const char *why = NULL;
    memcpy(bytes, data, size);
    struct as_mat *mat = as_mat_open((struct as_bytes){ bytes, size }, &why);
    fuzz_promise(mat ? true : why && *why);
    for (size_t i = 0; mat && i < sizeof name / sizeof *name; i++) {
        struct as_mat_value v;
        why = as_mat_find(mat, name[i], &v);
        if (why)
            fuzz_promise(*why);
        else
            read_value(&v, 0);
    }
    as_mat_close(mat);
    free(bytes);
    return 0;
}
