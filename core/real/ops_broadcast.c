/* ops_broadcast.c: NumPy's broadcasting as strides. */
#include "ops_broadcast.h"

int as_nest_dims(const char *op, int n, struct as_node *const *in, ptrdiff_t *dims)
{
    int rank = 0;
    for (int p = 0; p < n; p++)
        rank = in[p]->rank > rank ? in[p]->rank : rank;
    for (int j = 0; j < rank; j++)
        dims[j] = 1;
    for (int p = 0; p < n; p++)
        for (int j = 0; j < in[p]->rank; j++) {
            ptrdiff_t size = in[p]->dim[j], *d = &dims[rank - in[p]->rank + j];
            if (size != 1 && *d != 1 && size != *d)
                as_fail(AS_FAILED, "%s: sizes %s and %s do not go together (aligned at the last, only a 1 stretches)",
                        op, as_op_dims(in[p ? 0 : 1]), as_op_dims(in[p]));
            if (size != 1)
                *d = size;
        }
    return rank;
}

struct as_nest as_nest_make(const struct as_node *out, int n, struct as_node *const *in)
{
    struct as_nest s = { .n = n };
    ptrdiff_t size[AS_MAX_RANK], stride[AS_OPERANDS][AS_MAX_RANK], step[AS_OPERANDS] = { 1, 1, 1 };
    int loops = 0;                   /* found from the inside out */
    for (int j = out->rank - 1; j >= 0; j--) {
        bool joins = loops > 0;
        ptrdiff_t here[AS_OPERANDS] = { 0 };
        if (out->dim[j] == 1)
            continue;
        for (int p = 0; p < n; p++) {
            int k = j - (out->rank - in[p]->rank);
            if (k >= 0 && in[p]->dim[k] != 1) {
                here[p] = step[p];
                step[p] *= in[p]->dim[k];
            }
            joins = joins && here[p] == stride[p][loops - 1] * size[loops - 1];
        }
        if (joins) {
            size[loops - 1] *= out->dim[j];
            continue;
        }
        size[loops] = out->dim[j];
        for (int p = 0; p < n; p++)
            stride[p][loops] = here[p];
        loops++;
    }
    if (loops == 0) {                /* one number */
        size[0] = 1;
        for (int p = 0; p < n; p++)
            stride[p][0] = 1;
        loops = 1;
    }
    s.rank = loops;
    s.rows = 1;
    s.inner = size[0];
    for (int j = 0; j < loops; j++) {
        s.size[j] = size[loops - 1 - j];
        for (int p = 0; p < n; p++)
            s.stride[p][j] = stride[p][loops - 1 - j];
        s.rows *= j < loops - 1 ? s.size[j] : 1;
    }
    return s;
}

void as_place_at(struct as_place *p, const struct as_nest *s, ptrdiff_t row)
{
    *p = (struct as_place){ 0 };
    for (int j = s->rank - 2; j >= 0; j--) {
        p->at[j] = row % s->size[j];
        row /= s->size[j];
        for (int k = 0; k < s->n; k++)
            p->off[k] += p->at[j] * s->stride[k][j];
    }
}

void as_place_next(struct as_place *p, const struct as_nest *s)
{
    for (int j = s->rank - 2; j >= 0; j--) {
        p->at[j]++;
        for (int k = 0; k < s->n; k++)
            p->off[k] += s->stride[k][j];
        if (p->at[j] < s->size[j])
            return;
        for (int k = 0; k < s->n; k++)
            p->off[k] -= s->stride[k][j] * s->size[j];
        p->at[j] = 0;
    }
}
