/* gru.h: what gru.c and its kernels agree on. */
#ifndef RECURRENT_GRU_H
#define RECURRENT_GRU_H

#include <assay/layer.h>

enum { GRU_BEFORE, GRU_AFTER };
enum { GRU_FULL, GRU_DIAGONAL };
struct gru { int hidden, bias, reset, recurrence; };
/* Rows of W, U, b: gates r, z, then the candidate n; c: (hidden). U: (3 hidden, hidden); diagonal: (3 hidden). */
enum { GRU_W, GRU_U, GRU_B, GRU_C };

#endif
