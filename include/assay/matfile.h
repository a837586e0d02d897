/* matfile.h: reading MATLAB 5 files ("Level 5 MAT-file format"): numeric matrices and cell arrays of them, of either
 * byte order, compressed or not. For converters. Every size is checked against the bytes that are there, so that a
 * truncated or damaged file gives a sentence; values point into the file, nothing is copied but what was compressed.
 */
#ifndef ASSAY_MATFILE_H
#define ASSAY_MATFILE_H

#include <assay/source.h>

struct as_mat;                   /* an open file */

struct as_mat_value {            /* a variable, or a cell of one; borrowed from the file */
    bool cell;                   /* a cell array of `cells` values; else a matrix of real numbers */
    ptrdiff_t cells;
    ptrdiff_t rows, cols;        /* further sizes are folded into cols */
    const unsigned char *data;   /* private from here on */
    size_t n;
    int type;
    bool big;
};

/* Finds all variables. `file` must outlive the result. NULL and *why when it is not such a file, or damaged. */
struct as_mat *as_mat_open(struct as_bytes file, const char **why);
void as_mat_close(struct as_mat *m);                          /* NULL is fine */

/* The variable called `name`. NULL, or why not: absent (the names that there are), or of a kind not read here. */
const char *as_mat_find(const struct as_mat *m, const char *name, struct as_mat_value *value);

/* Cell number i of a cell array, in column order. NULL, or why not. */
const char *as_mat_cell(const struct as_mat_value *array, ptrdiff_t i, struct as_mat_value *value);

/* Rows first..first+rows-1 of a matrix as floats, row by row: x (rows, cols). NULL, or why not. */
const char *as_mat_rows(const struct as_mat_value *matrix, ptrdiff_t first, ptrdiff_t rows, float *x);

#endif
