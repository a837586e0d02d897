/* pickle_value.c: looking at what a pickle holds; see assay/pickle.h. */
#include "pickle_private.h"

const struct as_pickle_value *as_pickle_get(const struct as_pickle_value *v, const char *key)
{
    if (v && v->kind == AS_PICKLE_SPARSE)
        v = v->fields;
    if (!v || v->kind != AS_PICKLE_DICT)
        return NULL;
    for (ptrdiff_t k = 0; k + 1 < v->count; k += 2)
        if (v->item[k]->kind == AS_PICKLE_TEXT && pickle_is(v->item[k], key))
            return v->item[k + 1];
    return NULL;
}

double as_pickle_number(const struct as_pickle_value *a, ptrdiff_t i)
{
    uint64_t bits = pickle_bits(a->text + i * a->size, a->size, a->big);
    uint32_t low = (uint32_t)bits;
    float single;
    double wide;
    if (a->type == 'f' && a->size == 4) {
        memcpy(&single, &low, sizeof single);
        return (double)single;
    }
    if (a->type == 'f') {
        memcpy(&wide, &bits, sizeof wide);
        return wide;
    }
    if (a->type != 'i')
        return (double)bits;
    switch (a->size) {
    case 1: return (int8_t)low;
    case 2: return (int16_t)low;
    case 4: return (int32_t)low;
    default: return (double)(int64_t)bits;
    }
}

bool as_pickle_is_array(const struct as_pickle_value *v, int rank, bool whole)
{
    return v && v->kind == AS_PICKLE_ARRAY && v->size && v->rank == rank && !(whole && v->type == 'f');
}

const char *as_pickle_sparse(const struct as_pickle_value *v, struct as_pickle_rows *m)
{
    const struct as_pickle_value *shape = as_pickle_get(v, "_shape");
    *m = (struct as_pickle_rows){ .start = as_pickle_get(v, "indptr"), .column = as_pickle_get(v, "indices"),
                                  .value = as_pickle_get(v, "data") };
    if (!v || v->kind != AS_PICKLE_SPARSE || !shape || shape->kind != AS_PICKLE_TUPLE || shape->count != 2 ||
        shape->item[0]->kind != AS_PICKLE_INT || shape->item[1]->kind != AS_PICKLE_INT ||
        !as_pickle_is_array(m->start, 1, true) || !as_pickle_is_array(m->column, 1, true) ||
        !as_pickle_is_array(m->value, 1, false))
        return as_say("pickle: not a sparse matrix in rows");
    m->rows = (ptrdiff_t)shape->item[0]->i;
    m->cols = (ptrdiff_t)shape->item[1]->i;
    ptrdiff_t n = m->column->dim[0];
    double last = 0;
    if (m->rows < 0 || m->start->dim[0] - 1 != m->rows || m->value->dim[0] != n)
        return pickle_damaged("a sparse matrix whose arrays do not fit");
    for (ptrdiff_t r = 0; r <= m->rows; r++) {
        double at = as_pickle_number(m->start, r);
        if (!(at >= last && at <= (double)n) || (r == m->rows && at < (double)n))
            return pickle_damaged("a sparse matrix whose rows do not follow each other");
        last = at;
    }
    for (ptrdiff_t k = 0; k < n; k++)
        if (!(as_pickle_number(m->column, k) >= 0 && as_pickle_number(m->column, k) < (double)m->cols))
            return pickle_damaged("a sparse matrix with a column that there is not");
    return NULL;
}
