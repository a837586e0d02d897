/* rrn.h: what rrn.c and rrn.fused.c agree on. */
#ifndef GRAPH_RRN_H
#define GRAPH_RRN_H

#include <assay/layer.h>

struct rrn { int steps, layers, update; double forget_bias; };
enum { RRN_LSTM, RRN_MLP };                      /* update */
enum { RRN_X, RRN_EDGES };                       /* ports */
enum { RRN_LAYERS = 4 };                         /* most hidden layers of an MLP */

/* Weights: W_l and b_l of the message's MLP f at RRN_F + 2 l, of the node's g at RRN_G + 2 l (l = 0 .. layers); then
 * the LSTM's, whose rows are gates i, f, o, then the candidate. */
enum { RRN_F, RRN_G = 2 * (RRN_LAYERS + 1), RRN_W = 4 * (RRN_LAYERS + 1), RRN_U, RRN_B };

#endif
