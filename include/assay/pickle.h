/* pickle.h: reading Python pickles (protocols 2 and 3) without Python: numbers, texts, tuples, lists, dicts, NumPy
 * arrays and SciPy's sparse rows. For converters. A pickle is a program for a small machine that may call anything;
 * this one calls nothing and knows the few names that such data need; any other is refused by its name. Every size is
 * checked against the bytes that are there, and the work is linear in them.
 */
#ifndef ASSAY_PICKLE_H
#define ASSAY_PICKLE_H

#include <assay/source.h>

struct as_pickle;                /* an open file */

enum as_pickle_kind { AS_PICKLE_NONE, AS_PICKLE_BOOL, AS_PICKLE_INT, AS_PICKLE_FLOAT, AS_PICKLE_TEXT, AS_PICKLE_TUPLE,
                      AS_PICKLE_LIST, AS_PICKLE_DICT, AS_PICKLE_ARRAY, AS_PICKLE_SPARSE,
                      AS_PICKLE_NAME, AS_PICKLE_DTYPE /* parts of others, of no use by themselves */ };

struct as_pickle_value {         /* borrowed from the file */
    enum as_pickle_kind kind;
    int64_t i;                   /* BOOL, INT */
    double x;                    /* FLOAT */
    const unsigned char *text;   /* TEXT, NAME, DTYPE (without a zero behind it); ARRAY: the elements, row by row */
    size_t n;                    /* bytes of text */
    struct as_pickle_value **item;   /* TUPLE, LIST: the items; DICT: key, value, key, value ... */
    ptrdiff_t count;             /* how many in `item` */
    int rank;                    /* ARRAY */
    ptrdiff_t dim[4];
    char type;                   /* ARRAY, DTYPE: 'i', 'u', 'f' or 'b' (bool); 'V' */
    int size;                    /* bytes of an element: 1, 2, 4 or 8 */
    bool big;                    /* most significant byte first */
    ptrdiff_t room;              /* private from here on */
    struct as_pickle_value *next, *fields;
};

/* Reads the whole file, which must outlive the result. NULL and *why when it is not a pickle, damaged, or of things
 * that are not read here. */
struct as_pickle *as_pickle_open(struct as_bytes file, const char **why);
void as_pickle_close(struct as_pickle *p);                    /* NULL is fine */
const struct as_pickle_value *as_pickle_root(const struct as_pickle *p);

/* The value of a text key in a DICT or SPARSE; NULL when there is none, or v is another kind or NULL. */
const struct as_pickle_value *as_pickle_get(const struct as_pickle_value *v, const char *key);

/* Whether v is an ARRAY of so many sizes; of whole numbers (or truth values) when `whole`. v may be NULL. */
bool as_pickle_is_array(const struct as_pickle_value *v, int rank, bool whole);
/* Element i of such an array in row-major order, as a number; i is not checked. */
double as_pickle_number(const struct as_pickle_value *array, ptrdiff_t i);

/* A sparse matrix in rows (scipy.sparse.csr_matrix), its three arrays checked against each other: row r has the
 * elements start[r]..start[r+1]-1 at the columns `column`, with the values `value`. NULL, or why not. */
struct as_pickle_rows { ptrdiff_t rows, cols; const struct as_pickle_value *start, *column, *value; };
const char *as_pickle_sparse(const struct as_pickle_value *v, struct as_pickle_rows *m);

#endif
