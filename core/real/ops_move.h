/* ops_move.h: strided copies and strided additions, in tiles. */
#ifndef ASSAY_OPS_MOVE_H
#define ASSAY_OPS_MOVE_H

#include "ops_private.h"

enum as_move_how {
    AS_MOVE_REALS, AS_MOVE_INTS, AS_MOVE_ADD,
    AS_MOVE_ADD_TO_ZERO              /* as if `to`, undefined before, were zeros: no negative ones */
};

/* For each index: to[index . to_stride] = or += from[index . from_stride]. Strides of `to` must not overlap. */
struct as_move {
    int rank;
    ptrdiff_t size[AS_MAX_RANK], from_stride[AS_MAX_RANK], to_stride[AS_MAX_RANK];
    const void *from;
    void *to;
};

#define as_move_do AS_REAL(as_move_do)
#define as_move_strides AS_REAL(as_move_strides)

void as_move_do(const struct as_move *m, enum as_move_how how);
void as_move_strides(int rank, const ptrdiff_t *dims, ptrdiff_t *stride);    /* of a dense array */

#endif
