/* rnn.h: what rnn.c and its kernels agree on. */
#ifndef RECURRENT_RNN_H
#define RECURRENT_RNN_H

#include <assay/layer.h>

enum { RNN_TANH, RNN_RELU };
enum { RNN_FULL, RNN_DIAGONAL };
struct rnn { int hidden, bias, nonlinearity, start, recurrence; };
enum { RNN_W, RNN_U, RNN_B };                    /* U: (hidden, hidden); diagonal: (hidden) */

#endif
