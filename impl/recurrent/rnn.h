/* rnn.h: what rnn.c and rnn.fused.c agree on. */
#ifndef RECURRENT_RNN_H
#define RECURRENT_RNN_H

#include <assay/layer.h>

enum { RNN_TANH, RNN_RELU };
struct rnn { int hidden, bias, nonlinearity, start; };
enum { RNN_W, RNN_U, RNN_B };

#endif
