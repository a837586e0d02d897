/* gru.h: what gru.c and gru.fused.c agree on. */
#ifndef RECURRENT_GRU_H
#define RECURRENT_GRU_H

#include <assay/layer.h>

enum { GRU_BEFORE, GRU_AFTER };
struct gru { int hidden, bias, reset; };
enum { GRU_W, GRU_U, GRU_B, GRU_C };             /* rows of W, U, b: gates r, z, then the candidate n; c: (hidden) */

#endif
